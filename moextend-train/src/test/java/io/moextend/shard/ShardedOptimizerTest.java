package io.moextend.shard;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.moextend.array.DType;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.backend.Backend;
import io.moextend.optim.AdamW;
import io.moextend.shard.ReplicatedOptimizer.Untouched;
import java.util.List;
import java.util.Map;
import java.util.function.BiPredicate;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

@Timeout(60)
class ShardedOptimizerTest {
  /** Divides among 1, 2, 3 and 4 ranks, and 2 micro-batches. */
  private static final int GLOBAL = 24;

  private static final int STEPS = 20;

  /** Those that differ in what is trained. */
  private static final List<ZeroStage> STAGES =
      List.of(ZeroStage.NONE, ZeroStage.OPTIMIZER, ZeroStage.GRADIENTS);

  private static final AdamW RULE = new AdamW(0.9, 0.99, 1e-8, 0.1);

  /** Weights after training with the oracle on the global batch, in micro-batches. */
  private static double[] oracle(Setup setup) {
    try (Backend backend = setup.open();
        UnitTask task = new UnitTask(backend, setup.compute());
        var optimizer =
            new ReplicatedOptimizer(
                backend,
                ParameterLayout.of(task.parameters(), 1),
                RULE,
                setup.settings().untouched(),
                setup.settings().rates())) {
      for (int step = 0; step < STEPS; step++) {
        int[] samples = UnitTask.samples(step, 0, 1, 0, 1, GLOBAL);
        task.backward(optimizer.gradients(true), samples);
        optimizer.step(1e-2, setup.maxNorm());
      }
      return task.weights();
    }
  }

  private static List<double[]> train(Setup setup, int micros) {
    return Ranks.run(
        Watched.group(setup.world()),
        collective -> {
          try (var rank = new ShardedRank(setup, collective, RULE)) {
            for (int step = 0; step < STEPS; step++) {
              for (int micro = 0; micro < micros; micro++) {
                int[] samples =
                    UnitTask.samples(step, micro, micros, collective.rank(), setup.world(), GLOBAL);
                rank.task.backward(rank.optimizer.gradients(micro == micros - 1), samples);
              }
              rank.optimizer.step(1e-2, setup.maxNorm());
            }
            return rank.task.weights();
          }
        });
  }

  @ParameterizedTest
  @CsvSource({
    "cpu, F32, 1",
    "cpu, F32, 2",
    "cpu, F32, 3",
    "cpu, F32, 4",
    "cpu, BF16, 1",
    "cpu, BF16, 2",
    "cpu, BF16, 3",
    "cpu, BF16, 4",
    "nd4j, F64, 2",
    "nd4j, F32, 3"
  })
  void weightsAreTheOraclesBitForBitWhereSumsAreExact(String backend, DType compute, int world) {
    double[] wanted = oracle(Setup.of(backend, compute, world, ZeroStage.NONE));
    for (ZeroStage stage : STAGES) {
      Setup setup = Setup.of(backend, compute, world, stage);
      for (double[] weights : train(setup, 2)) {
        assertThat(weights).as("%s", setup).isEqualTo(wanted);
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"F32, 1", "F32, 2", "F32, 3", "BF16, 2"})
  void ratesOfRolesAreTheOraclesBitForBitAtEveryStage(DType compute, int world) {
    var rates = new RoleRates(Map.of(Role.PROJECTOR, 0.1, Role.VISION_TOWER, 3.0));
    double[] alike = oracle(Setup.of("cpu", compute, world, ZeroStage.NONE));
    double[] wanted = oracle(Setup.of("cpu", compute, world, ZeroStage.NONE).rates(rates));
    assertThat(wanted).isNotEqualTo(alike);
    for (ZeroStage stage : STAGES) {
      Setup setup = Setup.of("cpu", compute, world, stage).rates(rates);
      for (double[] weights : train(setup, 2)) {
        assertThat(weights).as("%s", setup).isEqualTo(wanted);
      }
    }
  }

  @ParameterizedTest
  @CsvSource({
    "cpu, F32, 1, 1e-6",
    "cpu, F32, 2, 1e-6",
    "cpu, F32, 3, 1e-6",
    "cpu, F32, 4, 1e-6",
    "nd4j, F64, 2, 1e-13",
    "nd4j, F64, 3, 1e-13"
  })
  void clippedWeightsAreTheOracles(String backend, DType compute, int world, double tolerance) {
    Setup none = Setup.of(backend, compute, world, ZeroStage.NONE).clipped(0.5);
    double[] wanted = oracle(none);
    List<double[]> first = train(none, 1);
    for (int i = 0; i < wanted.length; i++) {
      assertThat(first.getFirst()[i])
          .as("element %d", i)
          .isCloseTo(wanted[i], within(tolerance * Math.max(1e-2, Math.abs(wanted[i]))));
    }
    for (ZeroStage stage : STAGES) {
      Setup setup = Setup.of(backend, compute, world, stage).clipped(0.5);
      for (double[] weights : train(setup, 1)) {
        assertThat(weights).as("%s", setup).isEqualTo(first.getFirst());
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"F32, 2", "BF16, 3"})
  void gradientsThatTravelInHalfTheBytesGiveTheSameBitsInAllStages(DType compute, int world) {
    Setup none = Setup.of("cpu", compute, world, ZeroStage.NONE).payload(DType.BF16);
    double[] wanted = oracle(none);
    double[] first = train(none, 1).getFirst();
    for (int i = 0; i < wanted.length; i++) {
      assertThat(first[i]).as("element %d", i).isCloseTo(wanted[i], within(0.05));
    }
    assertThat(first).isNotEqualTo(wanted);
    for (ZeroStage stage : STAGES) {
      Setup setup = Setup.of("cpu", compute, world, stage).payload(DType.BF16);
      for (double[] weights : train(setup, 1)) {
        assertThat(weights).as("%s", setup).isEqualTo(first);
      }
    }
  }

  /** What a rank's micro-batch touches, by rank and parameter. */
  private static SavedState trainedPartly(
      Setup setup, BiPredicate<Integer, Parameter> takesPart, boolean ofOneRank) {
    var saved = new SavedState();
    int world = ofOneRank ? 1 : setup.world();
    Ranks.run(
        Watched.group(world),
        collective -> {
          try (var rank = new ShardedRank(setup.world(world), collective, RULE)) {
            for (int step = 0; step < 3; step++) {
              for (int r = 0; r < setup.world(); r++) {
                if (ofOneRank || r == collective.rank()) {
                  int seen = r;
                  int[] samples = UnitTask.samples(step, 0, 1, r, setup.world(), GLOBAL);
                  boolean last = !ofOneRank || r == setup.world() - 1;
                  rank.task.backward(
                      rank.optimizer.gradients(last), samples, p -> takesPart.test(seen, p));
                }
              }
              rank.optimizer.step(1e-2, 0);
            }
            rank.optimizer.save(saved.writer(rank.backend));
            return rank.task.weights();
          }
        });
    return saved.whole();
  }

  @ParameterizedTest
  @EnumSource
  void aRankWithoutSomeGradientsOrAnyNeitherHangsNorDiffers(ZeroStage stage) {
    BiPredicate<Integer, Parameter> partly =
        (rank, p) ->
            switch (rank) {
              case 0 -> !p.name().startsWith("unit2");
              case 1 -> false;
              default -> !p.name().startsWith("unit0") && !p.name().startsWith("unit4");
            };
    Setup setup = Setup.of("cpu", DType.F32, 3, stage);
    trainedPartly(setup, partly, false).requireSame(trainedPartly(setup, partly, true));
  }

  @ParameterizedTest
  @CsvSource({
    "NONE, SKIP, 1", "OPTIMIZER, SKIP, 1", "GRADIENTS, SKIP, 1",
    "NONE, ZERO_GRADIENT, 3", "OPTIMIZER, ZERO_GRADIENT, 3", "GRADIENTS, ZERO_GRADIENT, 3"
  })
  void whatOneRankTouchedIsTouchedForAll(ZeroStage stage, Untouched untouched, int idleSteps) {
    Setup setup = Setup.of("cpu", DType.F32, 2, stage).untouched(untouched);
    var saved = new SavedState();
    List<Long> versions =
        Ranks.run(
            Watched.group(2),
            collective -> {
              try (var rank = new ShardedRank(setup, collective, RULE)) {
                for (int step = 0; step < 3; step++) {
                  int now = step;
                  rank.task.backward(
                      rank.optimizer.gradients(true),
                      UnitTask.samples(step, 0, 1, collective.rank(), 2, GLOBAL),
                      // one rank gives this parameter a gradient in the first step, later nobody
                      p ->
                          !p.name().equals("unit2.p0.weight")
                              || (now == 0 && collective.rank() == 1));
                  assertThat(rank.optimizer.step(1e-2, 0).updated())
                      .isEqualTo(rank.layout.slices().size() - (step < idleSteps ? 0 : 1));
                }
                rank.optimizer.save(saved.writer(rank.backend));
                return rank.task.parameter("unit2.p0.weight").version();
              }
            });
    assertThat(versions).containsExactly((long) idleSteps, (long) idleSteps);
    long[] steps = saved.whole().reader(null).numbers("step", 9);
    assertThat(steps).containsExactly(3, 3, 3, 3, 3, idleSteps, 3, 3, 3);
  }

  @ParameterizedTest
  @EnumSource
  void aGradientThatIsNoNumberOnOneRankStopsTheUpdateOnAll(ZeroStage stage) {
    Setup setup = Setup.of("cpu", DType.F32, 3, stage);
    List<double[]> moved =
        Ranks.run(
            Watched.group(3),
            collective -> {
              try (var rank = new ShardedRank(setup, collective, RULE)) {
                double[] before = rank.task.weights();
                var sink = rank.optimizer.gradients(true);
                rank.task.backward(sink, new int[] {collective.rank()}, p -> true);
                assertThat(rank.optimizer.step(1e-2, 1).applied()).isTrue();
                double[] after = rank.task.weights();
                assertThat(after).isNotEqualTo(before);
                sink = rank.optimizer.gradients(true);
                Parameter p = rank.task.parameter("unit1.p1.bias");
                double[] bad = new double[(int) p.data().size()];
                bad[2] = collective.rank() == 1 ? Double.NaN : 1;
                rank.task.deliver(sink, p, bad);
                Optimizer.Update update = rank.optimizer.step(1e-2, 1);
                assertThat(update.applied()).isFalse();
                assertThat(update.updated()).isZero();
                assertThat(rank.task.weights()).isEqualTo(after);
                // the NaN is forgotten
                assertThat(rank.optimizer.step(1e-2, 1).gradientNorm()).isZero();
                return rank.task.weights();
              }
            });
    assertThat(moved).allMatch(w -> java.util.Arrays.equals(w, moved.getFirst()));
  }

  @Test
  void discardedGradientsLeaveNothingBehind() {
    for (ZeroStage stage : ZeroStage.values()) {
      Ranks.run(
          Watched.group(2),
          collective -> {
            try (var rank =
                new ShardedRank(Setup.of("cpu", DType.F32, 2, stage), collective, RULE)) {
              // one rank has said a part already, the other nothing
              var sink = rank.optimizer.gradients(true);
              if (collective.rank() == 0) {
                rank.task.backward(sink, new int[] {1});
              }
              rank.optimizer.discard();
              assertThat(rank.optimizer.step(1e-2, 0).gradientNorm()).isZero();
              return 0;
            }
          });
    }
  }
}
