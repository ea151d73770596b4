package io.moextend.optim;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.moextend.Golden;
import io.moextend.config.ConfigException;
import java.io.IOException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ScheduleTest {
  private static JsonNode golden(String start) throws IOException {
    JsonNode all = new JsonMapper().readTree(Golden.path("moextend/lr_schedules.json").toFile());
    return all.properties().stream()
        .filter(e -> e.getKey().startsWith(start))
        .findFirst()
        .orElseThrow()
        .getValue();
  }

  private static void compare(Schedule schedule, JsonNode rates) {
    assertThat(rates).isNotEmpty();
    for (int i = 0; i < rates.size(); i++) {
      double want = rates.get(i).asDouble();
      assertThat(schedule.at(i + 1)).as("step %d", i + 1).isCloseTo(want, within(1e-12 * want));
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 2})
  void warmupLrIsDeepSpeedsAsItRan(int run) throws IOException {
    JsonNode want = golden("deepspeed").get(run);
    int total = want.get("total_steps").asInt();
    int warmup = Schedule.warmupSteps(want.get("warmup_ratio").asDouble(), total);
    assertThat(warmup).isEqualTo(want.get("warmup_num_steps(ceil)").asInt());
    compare(
        new Schedule.WarmupLr(want.get("learning_rate").asDouble(), warmup),
        want.get("lr used at optimizer step 1.."));
  }

  @Test
  void cosineIsHuggingFaces() throws IOException {
    JsonNode want = golden("hf cosine").get(0);
    int total = want.get("total_steps").asInt();
    int warmup = Schedule.warmupSteps(want.get("warmup_ratio").asDouble(), total);
    compare(
        new Schedule.Cosine(want.get("learning_rate").asDouble(), warmup, total), want.get("lr"));
  }

  @Test
  void cosineUsesTheRatesOfARealTrainerRun() throws IOException {
    JsonNode run =
        new JsonMapper()
            .readTree(Golden.path("moextend/trainer_check.json").toFile())
            .at("/align/by_hand");
    var schedule = new Schedule.Cosine(1e-3, 1, 4);
    for (int i = 0; i < run.size(); i++) {
      double want = run.get(i).get("lr_used").asDouble();
      assertThat(schedule.at(i + 1)).isCloseTo(want, within(1e-12 * want));
    }
  }

  @Test
  void linearFallsToZeroAndConstantStays() {
    var linear = new Schedule.Linear(1, 2, 6);
    assertThat(new double[] {linear.at(1), linear.at(2), linear.at(3), linear.at(5), linear.at(7)})
        .containsExactly(0, 0.5, 1, 0.5, 0);
    var constant = new Schedule.Constant(3, 2);
    assertThat(new double[] {constant.at(1), constant.at(2), constant.at(3), constant.at(99)})
        .containsExactly(0, 1.5, 3, 3);
    assertThat(new Schedule.Constant(3, 0).at(1)).isEqualTo(3);
  }

  @Test
  void aWarmUpLongerThanTheRunIsRefused() {
    assertThatThrownBy(() -> new Schedule.Cosine(1, 5, 4))
        .isInstanceOf(ConfigException.class)
        .hasMessage("warmup_steps=5: must be between 0 and the run's 4 steps");
  }
}
