package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class BenchStepCommandTest {
  private static final String SMALL =
      "bench step --size 64,96,2,4,200,2,160 --threads 2 --steps 3 --warm-up 1 ";

  private static Ran bench(String more) {
    Object[] words = (SMALL + more).split(" ", -1);
    return Ran.moextend(words);
  }

  private static JsonNode line(String more) throws Exception {
    Ran ran = bench(more);
    assertThat(ran.code()).as(ran.err()).isZero();
    assertThat(ran.out().lines()).hasSize(1);
    return new JsonMapper().readTree(ran.out());
  }

  @Test
  void oneLineTellsSpeedAndMemory() throws Exception {
    JsonNode line = line("--stage finetune --dtype f32");
    assertThat(line.get("tokens_per_s").doubleValue()).isPositive();
    assertThat(line.get("step_s_all")).hasSize(3);
    assertThat(line.get("loss")).hasSize(4);
    assertThat(line.get("first_step_s").doubleValue()).isPositive();
    assertThat(line.get("arrays_peak_bytes").get(0).longValue()).isPositive();
    assertThat(line.get("loss").get(3).doubleValue())
        .isLessThan(line.get("loss").get(0).doubleValue());
  }

  @ParameterizedTest
  @ValueSource(strings = {"alignment", "finetune"})
  void tokensMayAllGoToOneExpertForNoMoreMemoryThanTheirRowsArePaddedWith(String stage)
      throws Exception {
    String what = "--stage " + stage + " --dtype f32 --routing ";
    long balanced = line(what + "balanced").get("arrays_peak_bytes").get(0).longValue();
    for (String routing : new String[] {"one-expert", "empty-expert"}) {
      JsonNode line = line(what + routing);
      assertThat(line.get("routing").textValue()).isEqualTo(routing);
      assertThat(line.get("arrays_peak_bytes").get(0).longValue())
          .isLessThan(balanced + balanced / 20);
    }
  }

  @Test
  void aProfileSharesOutOneStep() {
    Ran ran = bench("--stage alignment --profile");
    assertThat(ran.code()).as(ran.err()).isZero();
    assertThat(ran.out()).contains("groupedProduct 640 x [192, 64]", "all products");
  }

  @Test
  void aWrongRoutingIsRefused() {
    Ran ran = bench("--stage alignment --routing skewed");
    assertThat(ran.code()).isEqualTo(2);
    assertThat(ran.err()).contains("--routing", "skewed", "one-expert");
    assertThat(bench("--stage alignment --warm-up -1").err()).contains("--warm-up");
  }
}
