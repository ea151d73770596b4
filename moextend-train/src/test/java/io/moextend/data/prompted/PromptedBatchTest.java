package io.moextend.data.prompted;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.moextend.data.prompted.RowLayout.Kind;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class PromptedBatchTest {
  private static TokenPair pair(int[] inputs, int... targets) {
    return new TokenPair("here", inputs, targets);
  }

  private static int[] some(int... ids) {
    return ids;
  }

  private static TokenPair sized(int inputs, int targets) {
    int[] in = new int[inputs];
    int[] out = new int[targets];
    Arrays.fill(in, 7);
    Arrays.fill(out, 8);
    return pair(in, out);
  }

  private static List<Integer> counts(List<List<TokenPair>> rows) {
    return rows.stream().map(List::size).toList();
  }

  /** The packed batch of golden/mov, which has its ids from the original. */
  @Test
  void aPackedBatchIsThatOfTheOriginal() {
    List<TokenPair> first =
        List.of(
            pair(GOLDEN_FIRST[0], 13, 96, 25, 1),
            pair(GOLDEN_FIRST[1], 60, 127, 1),
            pair(GOLDEN_FIRST[2], 108, 1));
    List<TokenPair> second =
        List.of(pair(GOLDEN_SECOND[0], 68, 96, 23, 68, 1), pair(some(GOLDEN_SECOND[1]), 77, 1));
    PromptedBatch batch =
        PromptedBatch.of(List.of(first, second), new RowLayout(Kind.PACKED, 14, 10));
    assertThat(batch.inputs())
        .containsExactly(
            27, 23, 124, 18, 2, 112, 109, 77, 126, 52, 112, 50, 0, 0, 111, 59, 74, 42, 15, 5, 90,
            12, 11, 6, 80, 16, 26, 0);
    assertThat(batch.targets())
        .containsExactly(13, 96, 25, 1, 60, 127, 1, 108, 1, 0, 68, 96, 23, 68, 1, 77, 1, 0, 0, 0);
    assertThat(batch.decoderInputs())
        .containsExactly(0, 13, 96, 25, 0, 60, 127, 0, 108, 0, 0, 68, 96, 23, 68, 0, 77, 0, 0, 0);
    assertThat(batch.inputSegments())
        .containsExactly(
            1, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 0, 0, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 0);
    assertThat(batch.targetSegments())
        .containsExactly(1, 1, 1, 1, 2, 2, 2, 3, 3, 0, 1, 1, 1, 1, 1, 2, 2, 0, 0, 0);
    assertThat(batch.inputPositions())
        .containsExactly(
            0, 1, 2, 3, 4, 0, 1, 2, 3, 0, 1, 2, 0, 0, 0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5, 6, 0);
    assertThat(batch.targetPositions())
        .containsExactly(0, 1, 2, 3, 0, 1, 2, 0, 1, 0, 0, 1, 2, 3, 4, 0, 1, 0, 0, 0);
    float third = 1f / 3;
    assertThat(batch.weightsPerExample())
        .containsExactly(
            .25f, .25f, .25f, .25f, third, third, third, .5f, .5f, 0, .2f, .2f, .2f, .2f, .2f, .5f,
            .5f, 0, 0, 0);
    assertThat(batch.realTokens()).isEqualTo(25 + 16);
  }

  private static final int[][] GOLDEN_FIRST = {
    {27, 23, 124, 18, 2}, {112, 109, 77, 126}, {52, 112, 50}
  };
  private static final int[][] GOLDEN_SECOND = {
    {111, 59, 74, 42, 15, 5}, {90, 12, 11, 6, 80, 16, 26}
  };

  @Test
  void anUnpackedRowIsShiftedAsAWholeSoThatItsEndStandsAtTheFirstPadding() {
    List<List<TokenPair>> rows =
        List.of(List.of(pair(some(3, 4), 8, 9, 1)), List.of(pair(some(5), 6, 1)));
    PromptedBatch batch = PromptedBatch.of(rows, new RowLayout(Kind.LONGEST, 99, 99));
    assertThat(batch.inputs()).containsExactly(3, 4, 5, 0);
    assertThat(batch.targets()).containsExactly(8, 9, 1, 6, 1, 0);
    assertThat(batch.decoderInputs()).containsExactly(0, 8, 9, 0, 6, 1);
    assertThat(batch.inputSegments()).isNull();
    assertThat(batch.lossWeights()).containsExactly(1, 1, 1, 1, 1, 0);
    assertThat(batch.weightsPerExample()).containsExactly(1f / 3, 1f / 3, 1f / 3, .5f, .5f, 0);
    PromptedBatch full = PromptedBatch.of(rows, new RowLayout(Kind.FULL, 5, 4));
    assertThat(full.inputs()).hasSize(10);
    assertThat(full.decoderInputs()).containsExactly(0, 8, 9, 1, 0, 6, 1, 0);
  }

  @Test
  void aRowIsClosedByTheFirstExampleOfWhichOneSideDoesNotFit() {
    var layout = new RowLayout(Kind.PACKED, 10, 4);
    assertThat(counts(layout.rows(List.of(sized(4, 1), sized(6, 1), sized(1, 1)))))
        .containsExactly(2, 1);
    assertThat(counts(layout.rows(List.of(sized(1, 3), sized(1, 2), sized(1, 2)))))
        .containsExactly(1, 2);
    assertThat(counts(layout.rows(List.of(sized(9, 1), sized(5, 1), sized(1, 1)))))
        .as("an earlier row is never opened again")
        .containsExactly(1, 2);
    assertThat(layout.rows(List.of())).isEmpty();
    assertThat(counts(new RowLayout(Kind.FULL, 10, 4).rows(List.of(sized(1, 1), sized(1, 1)))))
        .containsExactly(1, 1);
  }

  @Test
  void aRowHoldsNoMoreExamplesThanAByteCanNumber() {
    var many = new ArrayList<TokenPair>();
    for (int i = 0; i < 300; i++) {
      many.add(sized(1, 1));
    }
    assertThat(counts(new RowLayout(Kind.PACKED, 1000, 1000).rows(many))).containsExactly(255, 45);
  }

  @Test
  void everyIdOfABlockIsInItsRowsOnceAndInOrder() {
    long seed = 11;
    var random = new Random(seed);
    var block = new ArrayList<TokenPair>();
    int next = 1;
    for (int i = 0; i < 200; i++) {
      int[] inputs = new int[1 + random.nextInt(64)];
      int[] targets = new int[1 + random.nextInt(16)];
      for (int j = 0; j < inputs.length; j++) {
        inputs[j] = next++;
      }
      for (int j = 0; j < targets.length; j++) {
        targets[j] = next++;
      }
      block.add(new TokenPair("example " + i, inputs, targets));
    }
    var layout = new RowLayout(Kind.PACKED, 64, 16);
    PromptedBatch batch = PromptedBatch.of(layout.rows(block), layout);
    assertThat(Arrays.stream(batch.inputs()).filter(id -> id > 0))
        .as("seed %d", seed)
        .containsExactlyElementsOf(
            block.stream().flatMapToInt(p -> Arrays.stream(p.inputs())).boxed().toList());
    assertThat(Arrays.stream(batch.targets()).filter(id -> id > 0))
        .containsExactlyElementsOf(
            block.stream().flatMapToInt(p -> Arrays.stream(p.targets())).boxed().toList());
    assertThat(batch.examples()).hasSize(200).startsWith("example 0").endsWith("example 199");
    float sum = 0;
    for (float weight : batch.weightsPerExample()) {
      sum += weight;
    }
    assertThat(sum).isCloseTo(200, within(1e-3f));
  }

  @Test
  void aBatchWhoseArraysDoNotFitIsRefused() {
    assertThatThrownBy(
            () ->
                new PromptedBatch(
                    1,
                    2,
                    2,
                    some(1, 2),
                    some(1),
                    some(0),
                    null,
                    null,
                    List.of(),
                    new PromptedBatch.Together(1, 1, 1)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("[1, 2] and [1, 2] with 2 inputs, 1 targets");
  }
}
