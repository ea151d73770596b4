package io.moextend.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.data.SampleOrder.Position;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@Timeout(60)
class BatchLoaderTest {
  private static final SampleOrder ORDER = new SampleOrder(23, 42, true);

  /** A batch whose ids are its samples' indexes. */
  static Batch indexes(int[] indexes) {
    int[] labels = new int[indexes.length];
    Arrays.fill(labels, EncodedSample.IGNORED);
    List<String> names = Arrays.stream(indexes).mapToObj(Integer::toString).toList();
    return new Batch(
        indexes.length,
        1,
        indexes,
        labels,
        new byte[indexes.length],
        new float[0],
        1,
        List.of(),
        names,
        0);
  }

  private static Batch slowly(int[] indexes) {
    try {
      Thread.sleep(indexes[0] % 5);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    return indexes(indexes);
  }

  private static List<Integer> take(Share share, Position from, int threads, int batches) {
    List<Integer> seen = new ArrayList<>();
    try (BatchLoader loader =
        new BatchLoader(BatchLoaderTest::slowly, ORDER, share, from, threads, 4)) {
      for (int i = 0; i < batches; i++) {
        Arrays.stream(loader.next().ids()).forEach(seen::add);
      }
    }
    return seen;
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 5})
  void theOrderIsTheSameForAnyNumberOfThreads(int threads) {
    assertThat(take(Share.alone(4), Position.START, threads, 14))
        .isEqualTo(take(Share.alone(4), Position.START, 3, 14));
  }

  @Test
  void anEpochSeesEverySampleAndEpochsDiffer() {
    List<Integer> two = take(Share.alone(4), Position.START, 2, 12);
    int[] all = IntStream.range(0, 23).toArray();
    assertThat(two.subList(0, 23))
        .containsExactlyInAnyOrder(Arrays.stream(all).boxed().toArray(Integer[]::new));
    // the next epoch begins in the middle of a batch
    assertThat(two.subList(23, 46)).containsExactlyInAnyOrderElementsOf(two.subList(0, 23));
    assertThat(two.subList(23, 46)).isNotEqualTo(two.subList(0, 23));
    assertThat(Share.alone(4).microBatchesPerEpoch(ORDER)).isEqualTo(6);
  }

  @Test
  void aRunGoesOnWhereItStopped() {
    List<Integer> whole = take(Share.alone(4), Position.START, 2, 12);
    for (int stop = 0; stop < 12; stop++) {
      Position position;
      try (BatchLoader loader =
          new BatchLoader(BatchLoaderTest::slowly, ORDER, Share.alone(4), Position.START, 2, 4)) {
        for (int i = 0; i < stop; i++) {
          assertThat(loader.next().rows()).isEqualTo(4);
        }
        position = loader.position();
      }
      assertThat(take(Share.alone(4), position, 2, 12 - stop))
          .as("stopped after %d", stop)
          .isEqualTo(whole.subList(4 * stop, 48));
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 6})
  void ranksTogetherTakeWhatOneWouldTake(int world) {
    List<Integer> alone = take(Share.alone(12), Position.START, 2, 3);
    List<List<Integer>> ranks = new ArrayList<>();
    for (int rank = 0; rank < world; rank++) {
      ranks.add(take(new Share(12 / world, rank, world), Position.START, 2, 3));
    }
    List<Integer> together = new ArrayList<>();
    for (int batch = 0; batch < 3; batch++) {
      for (List<Integer> rank : ranks) {
        together.addAll(rank.subList(batch * 12 / world, (batch + 1) * 12 / world));
      }
    }
    assertThat(together).isEqualTo(alone);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 4, 6, 30})
  void microBatchesAreTheSameAtAnyNumberOfRanks(int world) {
    int rounds = 240 / world / 4;
    List<List<Integer>> ranks = new ArrayList<>();
    for (int rank = 0; rank < world; rank++) {
      ranks.add(take(new Share(4, rank, world), Position.START, 2, rounds));
    }
    List<Integer> together = new ArrayList<>();
    for (int round = 0; round < rounds; round++) {
      for (List<Integer> rank : ranks) {
        together.addAll(rank.subList(4 * round, 4 * (round + 1)));
      }
    }
    assertThat(together).isEqualTo(take(Share.alone(4), Position.START, 2, 60));
  }

  @Test
  void theOrderOfASeedNeverChanges() {
    assertThat(new SampleOrder(10, 42, true).epoch(0)).containsExactly(WANTED0);
    assertThat(new SampleOrder(10, 42, true).epoch(1)).containsExactly(WANTED1);
    assertThat(new SampleOrder(4, 42, false).epoch(7)).containsExactly(0, 1, 2, 3);
    assertThat(new SampleOrder(10, 43, true).epoch(0))
        .isNotEqualTo(new SampleOrder(10, 42, true).epoch(0));
  }

  private static final int[] WANTED0 = {6, 0, 9, 1, 8, 3, 5, 7, 2, 4};
  private static final int[] WANTED1 = {0, 1, 8, 9, 2, 6, 4, 5, 3, 7};

  @Test
  void everyPlaceIsAsLikelyForEverySample() {
    int[][] counts = new int[5][5];
    for (int seed = 0; seed < 5000; seed++) {
      int[] order = new SampleOrder(5, seed, true).epoch(0);
      for (int place = 0; place < 5; place++) {
        counts[place][order[place]]++;
      }
    }
    for (int[] place : counts) {
      for (int count : place) {
        assertThat(count).isBetween(850, 1150);
      }
    }
  }

  @Test
  void aWorkersErrorSurfacesInItsTurnAndStays() {
    BatchLoader.Source source =
        indexes -> {
          if (indexes[0] == ORDER.epoch(0)[8]) {
            throw new DataException("data.json: sample 9: its image is broken");
          }
          return indexes(indexes);
        };
    try (BatchLoader loader =
        new BatchLoader(source, ORDER, Share.alone(4), Position.START, 2, 4)) {
      assertThat(loader.next().rows()).isEqualTo(4);
      assertThat(loader.next().rows()).isEqualTo(4);
      for (int again = 0; again < 2; again++) {
        assertThatThrownBy(loader::next)
            .isInstanceOf(DataException.class)
            .hasMessage("data.json: sample 9: its image is broken");
      }
      assertThat(loader.position()).isEqualTo(new Position(0, 8));
    }
  }

  @Test
  void noMoreThanAskedIsMadeAhead() throws InterruptedException {
    AtomicInteger made = new AtomicInteger();
    BatchLoader.Source source =
        indexes -> {
          made.incrementAndGet();
          return indexes(indexes);
        };
    try (BatchLoader loader =
        new BatchLoader(source, ORDER, Share.alone(2), Position.START, 4, 3)) {
      assertThat(loader.next().rows()).isEqualTo(2);
      assertThat(loader.next().rows()).isEqualTo(2);
      Thread.sleep(50);
      assertThat(made).hasValueLessThanOrEqualTo(2 + 3);
    }
  }

  @Test
  void closingLeavesNoThreads() throws InterruptedException {
    for (int i = 0; i < 3; i++) {
      assertThat(take(Share.alone(1), Position.START, 4, 2)).hasSize(2);
    }
    for (Thread left : Thread.getAllStackTraces().keySet()) {
      if (left.getName().startsWith("data-")) { // it has nothing to do, but may be about to end
        assertThat(left.join(Duration.ofSeconds(10))).as(left.getName()).isTrue();
      }
    }
  }

  @Test
  void aPositionBehindTheDatasetIsRefused() {
    assertThatThrownBy(() -> take(Share.alone(1), new Position(0, 23), 1, 1))
        .hasMessage("the run stands at sample 23 of an epoch of 23; has the dataset changed?");
  }
}
