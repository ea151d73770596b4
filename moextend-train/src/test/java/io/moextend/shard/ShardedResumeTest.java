package io.moextend.shard;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.array.DType;
import io.moextend.optim.AdamW;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

@Timeout(60)
class ShardedResumeTest {
  private static final int GLOBAL = 12;

  private record Result(SavedState saved, List<double[]> weights) {}

  private static Result train(Setup setup, @Nullable SavedState from, int first, int last) {
    var saved = new SavedState();
    List<double[]> weights =
        Ranks.run(
            Watched.group(setup.world()),
            collective -> {
              try (var rank = new ShardedRank(setup, collective, AdamW.PUBLISHED)) {
                if (from != null) {
                  // what was there before must not matter
                  rank.task.parameters().forEach(p -> rank.backend.fillInto(p.data(), 9));
                  rank.optimizer.load(from.reader(rank.backend));
                }
                for (int step = first; step < last; step++) {
                  int[] samples =
                      UnitTask.samples(step, 0, 1, collective.rank(), setup.world(), GLOBAL);
                  rank.task.backward(rank.optimizer.gradients(true), samples);
                  rank.optimizer.step(1e-2, 0);
                }
                rank.optimizer.save(saved.writer(rank.backend));
                return rank.task.weights();
              }
            });
    return new Result(saved.whole(), weights);
  }

  @ParameterizedTest
  @CsvSource({
    "cpu, F32, 1, NONE, 3, GRADIENTS",
    "cpu, F32, 4, GRADIENTS, 1, NONE",
    "cpu, F32, 2, OPTIMIZER, 3, NONE",
    "cpu, BF16, 3, NONE, 4, OPTIMIZER",
    "cpu, BF16, 2, GRADIENTS, 2, OPTIMIZER",
    "nd4j, F64, 2, OPTIMIZER, 3, GRADIENTS"
  })
  void stateIsReadAtAnyWorldSizeAndStageAndTrainingGoesOn(
      String backend, DType compute, int world, ZeroStage stage, int world2, ZeroStage stage2) {
    Setup one = Setup.of(backend, compute, world, stage);
    Setup two = Setup.of(backend, compute, world2, stage2);
    Result half = train(one, null, 0, 4);
    Result read = train(two, half.saved(), 4, 4);
    read.saved().requireSame(half.saved());
    assertThat(read.weights()).allMatch(w -> java.util.Arrays.equals(w, half.weights().getFirst()));
    Result whole = train(one, null, 0, 8);
    Result goneOn = train(two, half.saved(), 4, 8);
    goneOn.saved().requireSame(whole.saved());
    assertThat(goneOn.weights())
        .hasSize(world2)
        .allMatch(w -> java.util.Arrays.equals(w, whole.weights().getFirst()));
  }

  @ParameterizedTest
  @CsvSource({"2, NONE", "3, OPTIMIZER", "4, GRADIENTS"})
  void anUnshardedOptimizerReadsWhatRanksWroteAndTheOtherWayRound(int world, ZeroStage stage) {
    Setup setup = Setup.of("cpu", DType.F32, world, stage);
    Result sharded = train(setup, null, 0, 3);
    var copied = new SavedState();
    try (var backend = setup.open();
        var task = new UnitTask(backend, DType.F32);
        var alone =
            new ReplicatedOptimizer(
                backend,
                ParameterLayout.of(task.parameters(), 1),
                AdamW.PUBLISHED,
                setup.settings().untouched())) {
      alone.load(sharded.saved().reader(backend));
      assertThat(task.weights()).isEqualTo(sharded.weights().getFirst());
      alone.save(copied.writer(backend));
    }
    copied.whole().requireSame(sharded.saved());
    train(setup, copied, 3, 3).saved().requireSame(copied);
  }
}
