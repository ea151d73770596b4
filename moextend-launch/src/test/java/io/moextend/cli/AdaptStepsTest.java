package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.moextend.checkpoint.SafetensorsFile;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class AdaptStepsTest {
  private static final String SMALL =
      "bench step --architecture t5 --stage adapt --size 32,48,1,2,60,2,12,6 --rank 4 --experts 3"
          + " --threads 2 --steps 2 --warm-up 1 ";

  private static Ran bench(String more) {
    Object[] words = (SMALL + more).split(" ", -1);
    return Ran.moextend(words);
  }

  /** Numbers of one layer of encoder and decoder each, with three attentions and two networks. */
  @ParameterizedTest
  @CsvSource({
    "lora, adamw, 4352",
    "molora, adafactor, 14688",
    "ia3, adamw, 288",
    "mov, adafactor, 1440",
    "full, adafactor, 25696"
  })
  void everyMethodTellsSpeedAndLosses(String method, String optim, long trainable)
      throws Exception {
    Ran ran = bench("--method %s --optim %s".formatted(method, optim));
    assertThat(ran.code()).as(ran.err()).isZero();
    assertThat(ran.out().lines()).hasSize(1);
    JsonNode line = new JsonMapper().readTree(ran.out());
    assertThat(line.get("method").textValue()).isEqualTo(method);
    assertThat(line.get("tokens_per_s").doubleValue()).isPositive();
    assertThat(line.get("step_s").doubleValue()).isPositive();
    assertThat(line.get("step_s_all")).hasSize(2);
    assertThat(line.get("peak_bytes").longValue()).isPositive();
    assertThat(line.get("trainable").longValue()).isEqualTo(trainable);
    assertThat(line.get("loss")).hasSize(3);
    assertThat(line.get("loss").get(2).doubleValue())
        .isLessThan(line.get("loss").get(0).doubleValue());
  }

  @Test
  void checkpointingChangesNoLoss() throws Exception {
    var json = new JsonMapper();
    JsonNode plain = json.readTree(bench("--method molora").out());
    JsonNode again = json.readTree(bench("--method molora --checkpointing").out());
    assertThat(again.get("loss")).isEqualTo(plain.get("loss"));
  }

  @Test
  void whatIsWrittenLiesAsInFiles(@TempDir Path folder) {
    Path file = folder.resolve("start.safetensors");
    Ran ran = bench("--method molora --write " + file);
    assertThat(ran.code()).as(ran.err()).isZero();
    try (SafetensorsFile written = SafetensorsFile.open(file)) {
      String q = "decoder.block.0.layer.0.SelfAttention.q";
      assertThat(written.tensor(q + ".lora_A").shape()).containsExactly(3, 32, 4);
      assertThat(written.tensor(q + ".lora_B").shape()).containsExactly(3, 4, 32);
      assertThat(written.tensor(q + ".weight").shape()).containsExactly(32, 32);
      assertThat(written.tensor("batch.input_ids").shape()).containsExactly(2, 12);
      assertThat(written.tensor("batch.labels").shape()).containsExactly(2, 6);
    }
  }

  @Test
  void aProfileSharesOutOneStep() {
    Ran ran = bench("--method lora --profile");
    assertThat(ran.code()).as(ran.err()).isZero();
    assertThat(ran.out()).contains("attendBackward", "all products", "\"architecture\":\"t5\"");
  }

  @Test
  void whatCannotBeTimedIsRefusedByName() {
    assertThat(bench("--method dora").err()).contains("--method", "dora", "molora");
    assertThat(bench("--optim sgd").err()).contains("--optim", "adafactor");
    Ran ran = Ran.moextend("bench", "step", "--stage", "adapt");
    assertThat(ran.code()).isEqualTo(2);
    assertThat(ran.err()).contains("--stage", "--architecture t5");
  }
}
