package io.moextend.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.Golden;
import io.moextend.data.SampleOrder.Arrangement;
import io.moextend.data.SampleOrder.Position;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class LengthGroupsTest {
  /** Positive of samples with images, negative of others. */
  private static int[] lengths(int size, long seed) {
    Random random = new Random(seed);
    return IntStream.range(0, size)
        .map(_ -> (1 + random.nextInt(90)) * (random.nextInt(3) == 0 ? -1 : 1))
        .toArray();
  }

  private static SampleOrder order(int[] lengths, int rows, int parts, long seed) {
    return new SampleOrder(
        lengths.length, seed, new Arrangement.Grouped(new LengthGroups(lengths, rows, parts)));
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5})
  void stepsAreOfOneKindAndTheRestIsTheEnd(long seed) {
    int[] lengths = lengths(211, seed);
    int rows = 3;
    int parts = 4;
    int step = rows * parts;
    int[] order = order(lengths, rows, parts, seed).epoch(0);
    int[] all = IntStream.range(0, 211).toArray();
    assertThat(order).as("seed %d", seed).containsExactlyInAnyOrder(all);
    int pictured = (int) Arrays.stream(lengths).filter(length -> length > 0).count();
    int rest = pictured % step + (211 - pictured) % step;
    assertThat(rest).as("the case would say nothing").isPositive();
    int[] last = Arrays.copyOfRange(order, 211 - rest, 211);
    assertThat(last).isSorted();
    Set<Boolean> kinds = new HashSet<>();
    for (int at = 0; at < 211 - rest; at += step) {
      int[] words = Arrays.stream(order, at, at + step).map(i -> lengths[i]).toArray();
      boolean first = words[0] > 0;
      kinds.add(first);
      assertThat(Arrays.stream(words).boxed())
          .as("seed %d, step at %d", seed, at)
          .allMatch(word -> word > 0 == first);
      assertThat(words).as("as dealt by hand").isEqualTo(dealt(words, rows, parts));
    }
    assertThat(kinds).containsExactlyInAnyOrder(true, false);
  }

  @ParameterizedTest
  @ValueSource(ints = {100, 101, 107, 96, 7})
  void laterEpochsBeginWhereAStepBegins(int size) {
    int[] lengths = lengths(size, size);
    int step = 12;
    SampleOrder order = order(lengths, 3, 4, 42);
    List<Integer> line = new ArrayList<>();
    for (int epoch = 0; epoch < 5; epoch++) {
      int[] own = order.epoch(epoch);
      assertThat(own).containsExactlyInAnyOrder(IntStream.range(0, size).toArray());
      Arrays.stream(own).forEach(line::add);
    }
    int whole = 0;
    for (int at = 0; at + step <= line.size(); at += step) {
      int[] words = line.subList(at, at + step).stream().mapToInt(i -> lengths[i]).toArray();
      boolean alike = Arrays.stream(words).map(Integer::signum).distinct().count() == 1;
      whole += alike && Arrays.equals(words, dealt(words, 3, 4)) ? 1 : 0;
    }
    int pictured = (int) Arrays.stream(lengths).filter(length -> length > 0).count();
    // an epoch takes at most one of its steps apart to fill the last of the epoch before
    int kept = pictured / step + (size - pictured) / step - 1;
    assertThat(whole).isGreaterThanOrEqualTo(5 * kept);
  }

  /** The rule once more: the longest left goes to the part with the fewest words that has room. */
  private static int[] dealt(int[] words, int rows, int parts) {
    List<Integer> left = new ArrayList<>(Arrays.stream(words).boxed().toList());
    left.sort((a, b) -> Math.abs(b) - Math.abs(a));
    List<List<Integer>> dealt = new ArrayList<>();
    IntStream.range(0, parts).forEach(_ -> dealt.add(new ArrayList<>()));
    for (int word : left) {
      dealt.stream()
          .filter(part -> part.size() < rows)
          .min(
              (a, b) -> a.stream().mapToInt(Math::abs).sum() - b.stream().mapToInt(Math::abs).sum())
          .orElseThrow()
          .add(word);
    }
    return dealt.stream().flatMap(List::stream).mapToInt(Integer::intValue).toArray();
  }

  @Test
  void aStepIsDealtAsWorkedOutByHand() {
    // longest first 9 8 5 4 2 1: 9|8|, 5 to the 8 (then 13, full at 3), 4 to the 9 (13), 2 to the
    // first of equals (15, full), 1 to the other
    int[] lengths = {5, 9, 1, 8, 2, 4};
    int[] order = order(lengths, 3, 2, 42).epoch(0);
    assertThat(Arrays.stream(order).map(i -> lengths[i])).containsExactly(9, 4, 2, 8, 5, 1);
  }

  @Test
  void epochsAndSeedsDifferAndNothingElseMatters() {
    int[] lengths = lengths(100, 7);
    int[] first = order(lengths, 2, 3, 42).epoch(0);
    assertThat(order(lengths.clone(), 2, 3, 42).epoch(0)).isEqualTo(first);
    assertThat(order(lengths, 2, 3, 42).epoch(1)).isNotEqualTo(first);
    assertThat(order(lengths, 2, 3, 43).epoch(0)).isNotEqualTo(first);
  }

  @Test
  void theOrderOfASeedNeverChanges() {
    int[] lengths = {3, -4, 5, -1, 2, 6, -7, 8, -2, 9};
    assertThat(order(lengths, 1, 2, 42).epoch(0)).containsExactly(PINNED);
  }

  private static final int[] PINNED = {1, 8, 6, 3, 2, 4, 9, 5, 7, 0};

  @Test
  void samplesOfOneKindAreGroupedToo() {
    int[] lengths = {3, 4, 5, 1, 2};
    int[] texts = Arrays.stream(lengths).map(length -> -length).toArray();
    int[] order = order(lengths, 2, 1, 42).epoch(0);
    assertThat(order(texts, 2, 1, 42).epoch(0)).containsExactlyInAnyOrder(0, 1, 2, 3, 4);
    assertThat(lengths[order[0]]).isGreaterThan(lengths[order[1]]);
    assertThat(lengths[order[2]]).isGreaterThan(lengths[order[3]]);
  }

  private static List<Integer> take(SampleOrder order, Share share, Position from, int batches) {
    List<Integer> seen = new ArrayList<>();
    try (BatchLoader loader = new BatchLoader(BatchLoaderTest::indexes, order, share, from, 2, 3)) {
      for (int i = 0; i < batches; i++) {
        Arrays.stream(loader.next().ids()).forEach(seen::add);
      }
    }
    return seen;
  }

  @Test
  void aRunGoesOnWhereItStopped() {
    SampleOrder order = order(lengths(50, 9), 2, 3, 42);
    List<Integer> whole = take(order, Share.alone(2), Position.START, 30);
    for (int stop = 0; stop < 30; stop += 7) {
      Position position = order.after(Position.START, 2L * stop);
      assertThat(take(order, Share.alone(2), position, 30 - stop))
          .as("stopped after %d", stop)
          .isEqualTo(whole.subList(2 * stop, 60));
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 6})
  void ranksTogetherTakeEveryMicroBatchOfAStep(int world) {
    SampleOrder order = order(lengths(90, 11), 2, 6, 42);
    List<List<Integer>> ranks = new ArrayList<>();
    for (int rank = 0; rank < world; rank++) {
      ranks.add(take(order, new Share(2, rank, world), Position.START, 18 / world));
    }
    List<Integer> together = new ArrayList<>();
    for (int round = 0; round < 18 / world; round++) {
      for (List<Integer> rank : ranks) {
        together.addAll(rank.subList(2 * round, 2 * round + 2));
      }
    }
    assertThat(together).isEqualTo(Arrays.stream(order.epoch(0), 0, 36).boxed().toList());
  }

  @Test
  void goldenSamplesAreAsLongAsPublished() {
    try (SampleFile file =
        SampleFile.open(
            Golden.path("moiie/preprocessing/train.json"), KeptTurns.ALL_BEHIND_AN_ANSWER, null)) {
      assertThat(IntStream.range(0, file.size()).map(i -> file.read(i).modalityLength()))
          .containsExactly(11, 15, -15, 7, -5);
    }
  }

  @Test
  void lengthsThatSayNothingAreRefused() {
    assertThatThrownBy(() -> new LengthGroups(new int[] {1, 0}, 2, 1))
        .isInstanceOf(DataException.class)
        .hasMessage("sample 2 has the length 0; count at least one word");
    assertThatThrownBy(() -> new LengthGroups(new int[] {1}, 0, 1))
        .hasMessage("rows=0, micro-batches of a step=1: both must be at least 1");
    assertThatThrownBy(
            () ->
                new SampleOrder(
                    3, 42, new Arrangement.Grouped(new LengthGroups(new int[] {1}, 1, 1))))
        .hasMessage("3 samples and the lengths of 1");
  }
}
