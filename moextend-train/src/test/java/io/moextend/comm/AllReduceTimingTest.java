package io.moextend.comm;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AllReduceTimingTest {
  @TempDir Path folder;

  @Test
  void everyRepetitionIsTimedAndTheSumsAreRight() {
    var wiring =
        new Wiring(
            "shared memory",
            1,
            3,
            (place, w) -> (rank, vigil) -> new SharedMemoryCollective(place, rank, 3, vigil));
    RankThreads.run(
        wiring,
        folder,
        ranks -> {
          List<Double> millis = AllReduceTiming.collective(ranks, 40_004, 2, 5);
          assertThat(millis).hasSize(5).allMatch(t -> t > 0);
          var mapped = (SharedMemoryCollective) ranks;
          assertThat(AllReduceTiming.plainMapped(mapped, 40_004, 0, 2)).hasSize(2);
          assertThat(AllReduceTiming.barrierMicros(ranks, 20)).isPositive();
        });
  }
}
