package io.moextend.data.prompted;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.moextend.Golden;
import io.moextend.data.DataException;
import io.moextend.data.Share;
import io.moextend.data.prompted.PromptedBatches.Position;
import io.moextend.data.prompted.RowLayout.Kind;
import io.moextend.text.Tokenizer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.function.IntFunction;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class PromptedBatchesTest {
  static Tokenizer tokenizer;

  @BeforeAll
  @SuppressWarnings("MustBeClosedChecker")
  static void open() {
    tokenizer = Tokenizer.open(Golden.path("prompted/tokenizer"));
  }

  @AfterAll
  static void close() {
    tokenizer.close();
  }

  /** Examples that are made when they are read; {@code made} gets an index. */
  private record Made(int size, IntFunction<PromptedExample> made) implements Examples {
    @Override
    public PromptedExample read(int index) {
      return made.apply(index);
    }

    @Override
    public void close() {}
  }

  private static Mixture.Part part(String name, double rate, int size) {
    return new Mixture.Part(
        name,
        rate,
        new Made(
            size,
            i -> {
              int[] inputs = new int[1 + (i * 7) % 23];
              Arrays.fill(inputs, 3 + i % 90);
              var targets = new Side(null, new int[] {4 + i % 80, 1});
              return new PromptedExample(
                  name + " " + i, new Side(null, inputs), targets, List.of(), null);
            }));
  }

  private static final Mixture MIXTURE =
      new Mixture(List.of(part("a", 100, 40), part("b", 300, 7), part("c", 50, 1)));

  private static PromptedBatches batches(Mixture mixture, Kind kind, Share share, long seed) {
    return new PromptedBatches(
        mixture,
        new PromptTokens(tokenizer, 128, 48, 12),
        new RowLayout(kind, 48, 12),
        share,
        seed,
        2);
  }

  private static List<String> rows(PromptedBatches batches, int micro) {
    var rows = new ArrayList<String>();
    for (int i = 0; i < micro; i++) {
      PromptedBatch batch = batches.next();
      assertThat(batch.rows()).isEqualTo(4);
      for (int r = 0; r < batch.rows(); r++) {
        int length = batch.inputLength();
        rows.add(Arrays.toString(Arrays.copyOfRange(batch.inputs(), r * length, (r + 1) * length)));
      }
    }
    return rows;
  }

  @ParameterizedTest
  @EnumSource(Kind.class)
  void aSeedGivesTheSameRowsEveryTimeAndAnotherSeedOthers(Kind kind) {
    try (PromptedBatches first = batches(MIXTURE, kind, Share.alone(4), 1);
        PromptedBatches again = batches(MIXTURE, kind, Share.alone(4), 1);
        PromptedBatches other = batches(MIXTURE, kind, Share.alone(4), 2)) {
      List<String> rows = rows(first, 20);
      assertThat(rows(again, 20)).isEqualTo(rows);
      assertThat(rows(other, 20)).isNotEqualTo(rows);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 2, 3, 7, 19})
  void aRunGoesOnAnywhereAsIfItHadNeverStopped(int done) {
    try (PromptedBatches whole = batches(MIXTURE, Kind.PACKED, Share.alone(4), 5);
        PromptedBatches resumed = batches(MIXTURE, Kind.PACKED, Share.alone(4), 5)) {
      rows(whole, done);
      Position at = whole.position();
      List<String> rest = rows(whole, 12);
      resumed.seek(at);
      assertThat(resumed.position()).isEqualTo(at);
      assertThat(rows(resumed, 12)).isEqualTo(rest);
      assertThat(resumed.position()).isEqualTo(whole.position());
      whole.seek(at);
      assertThat(rows(whole, 12)).as("back").isEqualTo(rest);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {2, 3, 4})
  void anyNumberOfRanksHasTheSameMicroBatchesBetweenThem(int world) {
    try (PromptedBatches alone = batches(MIXTURE, Kind.PACKED, Share.alone(4), 9)) {
      List<String> together = new ArrayList<>();
      for (int step = 0; step < 6; step++) {
        together.addAll(rows(alone, world));
      }
      for (int rank = 0; rank < world; rank++) {
        try (PromptedBatches own = batches(MIXTURE, Kind.PACKED, new Share(4, rank, world), 9)) {
          for (int step = 0; step < 6; step++) {
            int from = (step * world + rank) * 4;
            assertThat(rows(own, 1))
                .as("rank %d, step %d", rank, step)
                .isEqualTo(together.subList(from, from + 4));
          }
          assertThat(own.position()).isEqualTo(alone.position());
        }
      }
    }
  }

  @Test
  void aTaskIsDrawnByItsRateAndSeesEveryExampleOnceAPass() {
    DrawStream draws = MIXTURE.draws(3);
    List<DrawStream.Draw> all = draws.next(45_000);
    int[] counts = new int[3];
    List<List<Integer>> seen = List.of(new ArrayList<>(), new ArrayList<>(), new ArrayList<>());
    for (DrawStream.Draw draw : all) {
      counts[draw.task()]++;
      seen.get(draw.task()).add(draw.example());
    }
    // four standard deviations of sqrt(n p (1 - p)), rounded up
    assertThat((double) counts[0]).isCloseTo(10_000, within(360.0));
    assertThat((double) counts[1]).isCloseTo(30_000, within(400.0));
    assertThat((double) counts[2]).isCloseTo(5_000, within(270.0));
    var orders = new HashSet<List<Integer>>();
    for (int pass = 0; pass < 200; pass++) {
      List<Integer> order = seen.get(0).subList(40 * pass, 40 * (pass + 1));
      assertThat(order).doesNotHaveDuplicates();
      orders.add(order);
    }
    assertThat(orders).as("each pass has its own order").hasSize(200);
    draws.seek(31_000);
    assertThat(draws.next(100)).isEqualTo(all.subList(31_000, 31_100));
  }

  @Test
  void anOrderHasEveryPlaceOnceWhateverItsSize() {
    for (int size = 1; size < 300; size++) {
      boolean[] taken = new boolean[size];
      for (int i = 0; i < size; i++) {
        int place = Scramble.place(i, size, Scramble.key(1, size));
        assertThat(taken[place]).as("place %d of %d", place, size).isFalse();
        taken[place] = true;
      }
    }
    int large = Integer.MAX_VALUE;
    assertThat(Scramble.place(large - 1, large, 7)).isBetween(0, large - 1);
  }

  @Test
  void aFirstExampleStandsAtEveryPlaceEquallyOften() {
    int[] places = new int[10];
    for (int key = 0; key < 10_000; key++) {
      places[Scramble.place(0, 10, Scramble.key(key, 0))]++;
    }
    assertThat(Arrays.stream(places).boxed())
        .as("four deviations of 30")
        .allMatch(count -> Math.abs(count - 1000) < 120);
  }

  @Test
  void examplesWithoutAnInputAreLeftOutAndCounted() {
    var gaps =
        new Made(
            10, i -> PromptedExample.of("file " + i, i % 2 == 0 ? "" : "Is this positive?", "yes"));
    var mixture = new Mixture(List.of(new Mixture.Part("gaps", 1, gaps)));
    try (PromptedBatches batches = batches(mixture, Kind.LONGEST, Share.alone(4), 1)) {
      assertThat(batches.remark()).isEmpty();
      for (int i = 0; i < 30; i++) {
        assertThat(batches.next().inputs()).doesNotContain(0);
      }
      assertThat(batches.remark())
          .hasValueSatisfying(
              said ->
                  assertThat(said)
                      .contains("drawn examples have no input or target and were left out")
                      .matches(".*the first is file [02468]"));
    }
  }

  @Test
  void aMixtureOfNothingButEmptyExamplesEndsWithAnError() {
    var empty = new Made(3, i -> PromptedExample.of("file " + i, "", "yes"));
    var mixture = new Mixture(List.of(new Mixture.Part("empty", 1, empty)));
    try (PromptedBatches batches = batches(mixture, Kind.PACKED, Share.alone(1), 1)) {
      assertThatThrownBy(batches::next)
          .isInstanceOf(DataException.class)
          .hasMessageContaining("has both an input and a target; the first is file ");
    }
  }

  @Test
  void whatAFileDoesWrongReachesWhoTakesIt() {
    var wrong =
        new Made(
            3,
            i -> {
              throw new DataException("file 7: it is broken");
            });
    var mixture = new Mixture(List.of(new Mixture.Part("wrong", 1, wrong)));
    try (PromptedBatches batches = batches(mixture, Kind.PACKED, Share.alone(1), 1)) {
      assertThatThrownBy(batches::next)
          .isInstanceOf(DataException.class)
          .hasMessage("file 7: it is broken");
    }
  }

  @Test
  void cachedTasksAreDrawnAsTheListSays() {
    TaskList list =
        new TaskList(
            Golden.path("prompted"),
            Golden.path("prompted/cache"),
            "train",
            500_000L,
            List.of(
                new TaskList.Entry(
                    "tiny/copy", 2, 37L, null, null, null, List.of("tiny_copy_*"), null, null)));
    try (Mixture mixture = Mixture.open(list, Golden.path("prompted"));
        PromptedBatches batches = batches(mixture, Kind.PACKED, Share.alone(4), 1)) {
      assertThat(mixture.parts()).extracting(Mixture.Part::rate).containsExactly(37.0, 37.0);
      PromptedBatch batch = batches.next();
      assertThat(batch.realTokens()).isEqualTo(batch.examples().size() * 5L);
      assertThat(batch.examples().size()).as("6 targets of 2 ids in 12").isEqualTo(4 * 6);
    }
  }

  @Test
  void rowsShorterThanExamplesAreRefused() {
    var tokens = new PromptTokens(tokenizer, 128, 48, 12);
    assertThatThrownBy(
            () ->
                new PromptedBatches(
                        MIXTURE, tokens, new RowLayout(Kind.PACKED, 32, 12), Share.alone(1), 1, 1)
                    .close())
        .isInstanceOf(DataException.class)
        .hasMessageContaining("rows of [32, 12] are shorter than examples of [48, 12]");
  }
}
