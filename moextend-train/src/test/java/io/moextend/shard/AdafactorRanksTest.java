package io.moextend.shard;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.moextend.array.DType;
import io.moextend.backend.Backend;
import io.moextend.config.ConfigException;
import io.moextend.optim.Adafactor;
import io.moextend.optim.UpdateRule;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

@Timeout(60)
class AdafactorRanksTest {
  private static final int GLOBAL = 24;
  private static final int STEPS = 20;
  private static final Adafactor WHOLE = new Adafactor(1_100_000, 0.8, 1, true, Adafactor.NEVER);

  /** Of the task's matrices two are factored. */
  private static final Adafactor FACTORED = new Adafactor(3, 0.8, 1, true, 10);

  private record Result(SavedState saved, List<double[]> weights) {}

  private static double[] alone(Setup setup, UpdateRule rule) {
    try (Backend backend = setup.open();
        UnitTask task = new UnitTask(backend, setup.compute());
        var optimizer =
            new ReplicatedOptimizer(
                backend,
                ParameterLayout.of(task.parameters(), 1),
                rule,
                setup.settings().untouched())) {
      for (int step = 0; step < STEPS; step++) {
        int[] samples = UnitTask.samples(step, 0, 1, 0, 1, GLOBAL);
        task.backward(optimizer.gradients(true), samples);
        optimizer.step(1e-2, setup.maxNorm());
      }
      return task.weights();
    }
  }

  private static Result train(
      Setup setup, UpdateRule rule, @Nullable SavedState from, int first, int last) {
    var saved = new SavedState();
    List<double[]> weights =
        Ranks.run(
            Watched.group(setup.world()),
            collective -> {
              try (var rank = new ShardedRank(setup, collective, rule)) {
                if (from != null) {
                  rank.task.parameters().forEach(p -> rank.backend.fillInto(p.data(), 9));
                  rank.optimizer.load(from.reader(rank.backend));
                }
                for (int step = first; step < last; step++) {
                  int[] samples =
                      UnitTask.samples(step, 0, 1, collective.rank(), setup.world(), GLOBAL);
                  rank.task.backward(rank.optimizer.gradients(true), samples);
                  rank.optimizer.step(1e-2, setup.maxNorm());
                }
                rank.optimizer.save(saved.writer(rank.backend));
                return rank.task.weights();
              }
            });
    return new Result(saved.whole(), weights);
  }

  private static void requireClose(double[] got, double[] want) {
    for (int i = 0; i < want.length; i++) {
      double allowed = 1e-5 * Math.max(1e-1, Math.abs(want[i]));
      assertThat(got[i]).as("element %d", i).isCloseTo(want[i], within(allowed));
    }
  }

  @ParameterizedTest
  @CsvSource({
    "cpu, 2, NONE, 0",
    "cpu, 2, OPTIMIZER, 0",
    "cpu, 2, GRADIENTS, 0.5",
    "cpu, 3, OPTIMIZER, 0.5"
  })
  void ranksAgreeWithOneThoughEachHasAPartOfAParameter(
      String backend, int world, ZeroStage stage, double maxNorm) {
    Setup setup = Setup.of(backend, DType.F32, world, stage).clipped(maxNorm);
    double[] wanted = alone(setup, WHOLE);
    List<double[]> weights = train(setup, WHOLE, null, 0, STEPS).weights();
    assertThat(weights).allMatch(w -> java.util.Arrays.equals(w, weights.getFirst()));
    requireClose(weights.getFirst(), wanted);
  }

  @Test
  void everyRankKeepsWholeRowsAndColumnsWhereNothingIsShared() {
    Setup setup = Setup.of("cpu", DType.F32, 2, ZeroStage.NONE);
    Result result = train(setup, FACTORED, null, 0, STEPS);
    requireClose(result.weights().getFirst(), alone(setup, FACTORED));
    assertThat(result.weights().get(1)).isEqualTo(result.weights().getFirst());
    assertThat(result.saved().array("v_row.unit1.p0.weight")).hasSize(16);
    assertThat(result.saved().array("v_col.unit4.p0.weight")).hasSize(10);
  }

  @ParameterizedTest
  @CsvSource({"OPTIMIZER", "GRADIENTS", "WEIGHTS"})
  void rowsAndColumnsAreRefusedByNameWhereStateIsShared(ZeroStage stage) {
    Setup setup = Setup.of("cpu", DType.F32, 2, stage);
    assertThatThrownBy(() -> train(setup, FACTORED, null, 0, 1))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("distributed.zero_stage=" + stage.number())
        .hasMessageContaining("unit1.p0.weight")
        .hasMessageContaining("zero_stage: 0")
        .hasMessageContaining("min_dim_size_to_factor: null");
  }

  @ParameterizedTest
  @CsvSource({
    "2, OPTIMIZER, 3, GRADIENTS, true",
    "1, NONE, 2, OPTIMIZER, true",
    "3, GRADIENTS, 1, NONE, true",
    "2, NONE, 3, NONE, false",
    "1, NONE, 2, NONE, false"
  })
  void stateIsReadAtAnyWorldSizeAndStage(
      int world, ZeroStage stage, int world2, ZeroStage stage2, boolean whole) {
    Adafactor rule = whole ? WHOLE : FACTORED;
    Setup one = Setup.of("cpu", DType.F32, world, stage);
    Setup two = Setup.of("cpu", DType.F32, world2, stage2);
    Result half = train(one, rule, null, 0, 4);
    Result read = train(two, rule, half.saved(), 4, 4);
    read.saved().requireSame(half.saved());
    assertThat(read.weights()).allMatch(w -> java.util.Arrays.equals(w, half.weights().getFirst()));
    Result there = train(one, rule, read.saved(), 4, 8);
    there.saved().requireSame(train(one, rule, null, 0, 8).saved());
  }
}
