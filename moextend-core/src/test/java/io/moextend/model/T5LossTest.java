package io.moextend.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.moextend.model.T5Loss.Normalizer;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class T5LossTest {
  private static final String BASE = "mov/t5_base";

  @Test
  void theSameSumIsDividedByWhatTheNormaliserSays() {
    try (var c = new T5Case("cpu", BASE)) {
      T5Batch batch = c.batch("plain");
      double sum = c.step(batch, new T5Loss(Normalizer.NONE, 1e-4, 0), false).loss();
      long real = IntStream.of(batch.targets()).filter(id -> id != 0).count();
      assertThat(c.step(batch, new T5Loss(Normalizer.REAL_TOKENS, 1e-4, 0), false).loss())
          .isCloseTo(sum / real, within(1e-5));
      assertThat(c.step(batch, new T5Loss(Normalizer.TOTAL_TOKENS, 1e-4, 0), false).loss())
          .isCloseTo(sum / batch.targets().length, within(1e-5));
      double smoothed = c.step(batch, new T5Loss(Normalizer.NONE, 0, 0.1), false).loss();
      assertThat(smoothed).isNotCloseTo(sum, within(1e-2)).isPositive();
    }
  }

  @Test
  void aBatchWithoutARealTargetLosesNothing() {
    try (var c = new T5Case("cpu", BASE)) {
      var batch = T5Batch.plain(1, new int[] {5, 6, 0}, new int[2], 0);
      T5Case.Step step = c.step(batch, T5Loss.PUBLISHED, false);
      assertThat(step.loss()).isZero();
      step.gradients().values().forEach(d -> assertThat(d).containsOnly(0f));
    }
  }
}
