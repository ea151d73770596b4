package io.moextend.optim;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.moextend.config.ConfigException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class FactorScheduleTest {
  private static FactorSchedule schedule(String factors, int warmup, long firstStep) {
    return new FactorSchedule(
        0.5, FactorSchedule.parse(factors), warmup, firstStep, 0.5, 20, 100, 1e-8);
  }

  /** Worked out by hand; the counter of step n is n - 1. */
  @ParameterizedTest
  @CsvSource({
    "constant, 1, 0.5",
    "constant, 1000, 0.5",
    "constant * linear_warmup, 1, 1e-8",
    "constant * linear_warmup, 3, 0.1",
    "constant * linear_warmup, 12, 0.5",
    "constant*linear_warmup*rsqrt_decay, 6, 0.0790569415",
    "constant*linear_warmup*rsqrt_decay, 26, 0.1",
    "constant * rsqrt_normalized_decay, 1, 0.5",
    "constant * rsqrt_normalized_decay, 41, 0.25",
    "constant * decay_every, 20, 0.5",
    "constant * decay_every, 21, 0.25",
    "constant * decay_every, 61, 0.0625",
    "constant * cosine_decay, 11, 0.5",
    "constant * cosine_decay, 61, 0.25",
    "constant * cosine_decay, 111, 0.5",
    "linear_decay, 6, 0.25",
    "linear_decay, 12, 0.25",
    "linear_decay, 100, 1e-8"
  })
  void factorsAreT5xs(String factors, int step, double rate) {
    assertThat(schedule(factors, 10, 0).at(step)).isCloseTo(rate, within(1e-9 * rate + 1e-11));
  }

  @Test
  void theCounterGoesOnFromTheRestoredCheckpoint() {
    var restored = schedule("constant * linear_warmup * rsqrt_decay", 10, 1_100_000);
    assertThat(restored.at(1)).isCloseTo(0.5 / Math.sqrt(1.1e6), within(1e-15));
    assertThat(restored.at(3)).isCloseTo(0.5 / Math.sqrt(1_100_002), within(1e-15));
  }

  @Test
  void aFactorThatDividesByAWarmupOfNoStepsIsRefused() {
    assertThat(schedule("constant * cosine_decay", 0, 0).at(51)).isCloseTo(0.25, within(1e-12));
    assertThatThrownBy(() -> schedule("constant * rsqrt_decay", 0, 0))
        .isInstanceOf(ConfigException.class)
        .hasMessage(
            "warmup_steps=0: must be at least 1 for [constant, rsqrt_decay], which divides by it");
    assertThatThrownBy(() -> FactorSchedule.parse("constant *"))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("there is no factor ''");
  }
}
