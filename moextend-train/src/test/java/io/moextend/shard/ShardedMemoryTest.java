package io.moextend.shard;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.array.DType;
import io.moextend.optim.AdamW;
import java.util.List;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

@Timeout(60)
class ShardedMemoryTest {
  /** The few numbers that {@code HostWire} gathers. */
  private static long numbers(int world) {
    return 256L * 8 * world;
  }

  private static long trained(ShardedRank rank) {
    return rank.task.parameters().stream().mapToLong(p -> p.data().bytes()).sum();
  }

  @ParameterizedTest
  @CsvSource({
    "F32, F32, 1, NONE",
    "F32, F32, 2, NONE",
    "F32, F32, 2, OPTIMIZER",
    "F32, F32, 3, GRADIENTS",
    "F32, BF16, 2, NONE",
    "F32, BF16, 2, OPTIMIZER",
    "F32, BF16, 2, GRADIENTS",
    "BF16, F32, 2, NONE",
    "BF16, F32, 3, OPTIMIZER",
    "BF16, F32, 2, GRADIENTS",
    "BF16, BF16, 4, GRADIENTS"
  })
  void itTakesWhatWasPredictedAndNothingGrows(
      DType compute, DType payload, int world, ZeroStage stage) {
    Setup setup = Setup.of("cpu", compute, world, stage).payload(payload);
    Ranks.run(
        Watched.group(world),
        collective -> {
          try (var rank = new ShardedRank(setup, collective, AdamW.PUBLISHED)) {
            MemoryPlan plan = MemoryPlan.of(rank.layout, stage, AdamW.PUBLISHED, payload);
            var memory = rank.backend.memory();
            long others = trained(rank);
            assertThat(memory.liveBytes() + collective.bytes() - others).isEqualTo(plan.total());
            step(rank, 0);
            long before = memory.liveBytes();
            memory.resetPeak();
            long buffers = collective.bytes();
            assertThat(before + buffers - others).isEqualTo(plan.total() + numbers(world));
            for (int step = 1; step <= 200; step++) {
              step(rank, step);
            }
            assertThat(memory.liveBytes()).isEqualTo(before);
            assertThat(collective.bytes()).isEqualTo(buffers);
            // beside a test's own gradient
            assertThat(memory.peakBytes() - before).isLessThanOrEqualTo(4 * 16 * 16);
            return 0;
          }
        });
  }

  private static void step(ShardedRank rank, int step) {
    for (int micro = 0; micro < 2; micro++) {
      rank.task.backward(rank.optimizer.gradients(micro == 1), new int[] {step % 5});
    }
    rank.optimizer.step(1e-3, 1);
  }

  @ParameterizedTest
  @CsvSource({"cpu", "nd4j"})
  void closingGivesAllBack(String backend) {
    for (ZeroStage stage : ZeroStage.values()) {
      List<Watched> group = Watched.group(2);
      Ranks.run(
          group,
          collective -> {
            var rank =
                new ShardedRank(
                    Setup.of(backend, DType.F32, 2, stage), collective, AdamW.PUBLISHED);
            try (rank) {
              step(rank, 0);
              rank.optimizer.close();
              assertThat(rank.backend.memory().liveBytes()).isEqualTo(trained(rank));
              assertThat(collective.bytes()).isEqualTo(numbers(2));
            }
            return 0;
          });
      assertThat(group).allMatch(c -> c.bytes() == 0);
    }
  }

  @ParameterizedTest
  @CsvSource({"2", "4", "8"})
  void eachStageSharesMore(int world) {
    try (var backend = Setup.of("cpu", DType.BF16, world, ZeroStage.NONE).open();
        var task = new UnitTask(backend, DType.BF16)) {
      ParameterLayout layout = ParameterLayout.of(task.units, world, 1024);
      MemoryPlan none = MemoryPlan.of(layout, ZeroStage.NONE, AdamW.PUBLISHED, DType.F32);
      MemoryPlan optimizer = MemoryPlan.of(layout, ZeroStage.OPTIMIZER, AdamW.PUBLISHED, DType.F32);
      MemoryPlan gradients = MemoryPlan.of(layout, ZeroStage.GRADIENTS, AdamW.PUBLISHED, DType.F32);
      assertThat(none.total()).isEqualTo(layout.length() * 16);
      assertThat(optimizer.masters() * world).isEqualTo(none.masters());
      assertThat(optimizer.state() * world).isEqualTo(none.state());
      assertThat(optimizer.gradients()).isEqualTo(none.gradients());
      assertThat(gradients.gradients() * world).isEqualTo(none.gradients());
    }
  }
}
