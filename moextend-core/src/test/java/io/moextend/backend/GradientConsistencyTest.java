package io.moextend.backend;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.AttentionKernels.Attention;
import io.moextend.backend.BackendProvider.Options;
import io.moextend.backend.LossKernels.BalanceForm;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Each backward kernel of the oracle is the derivative of its forward kernel. */
class GradientConsistencyTest {
  private static final long SEED = 4711;

  private Backend b;
  private Arena numbers;

  @BeforeEach
  @SuppressWarnings("MustBeClosedChecker") // closed after each test
  void open() {
    b = Backends.open("nd4j", new Options(1, 0));
    numbers = b.arena("integers");
  }

  @AfterEach
  void close() {
    numbers.close();
    b.close();
  }

  private FiniteDifferences differences() {
    return new FiniteDifferences(b, SEED);
  }

  private Array ints(int[] values, long... shape) {
    Array array = numbers.allocate(DType.I32, shape);
    b.copyIn(array, MemorySegment.ofArray(values));
    return array;
  }

  private Array mask(byte[] values, long... shape) {
    Array array = numbers.allocate(DType.U8, shape);
    b.copyIn(array, MemorySegment.ofArray(values));
    return array;
  }

  @Test
  void aProductPassesGradientsToRowsWeightAndBias() {
    differences()
        .input(5, 4)
        .input(3, 4)
        .input(3)
        .agree(
            (a, in) -> {
              try (Matrix w = b.matrix(List.of(in.get(1)), false)) {
                return b.product(a, in.get(0), w, in.get(2), DType.F64);
              }
            },
            (a, in, d) -> {
              try (Matrix w = b.matrix(List.of(in.get(1)), false)) {
                return List.of(
                    b.productTransposed(a, d, w),
                    b.weightGradient(a, d, 0, 3, in.get(0)),
                    b.sumRows(a, d));
              }
            });
  }

  @Test
  void aGroupedProductPassesGradientsToRowsAndToEachExpert() {
    Array chosen = ints(new int[] {2, 0, 0, 2, 2, 0}, 3, 2); // none to expert 1
    differences()
        .input(6, 3)
        .input(2, 3)
        .input(2, 3)
        .input(2, 3)
        .agree(
            (a, in) -> {
              List<Matrix> experts = experts(in);
              Array out = b.groupedProduct(a, in.get(0), b.dispatch(a, chosen, 3), experts);
              experts.forEach(Matrix::close);
              return out;
            },
            (a, in, d) -> {
              List<Matrix> experts = experts(in);
              Dispatch dispatch = b.dispatch(a, chosen, 3);
              List<Array> gradients = new ArrayList<>();
              gradients.add(b.groupedProductTransposed(a, d, dispatch, experts));
              for (int e = 0; e < 3; e++) {
                gradients.add(b.groupedWeightGradient(a, d, 0, 2, in.get(0), dispatch, e));
              }
              experts.forEach(Matrix::close);
              return gradients;
            });
  }

  @SuppressWarnings("MustBeClosedChecker") // closed by the caller
  private List<Matrix> experts(List<Array> inputs) {
    return inputs.stream().skip(1).map(w -> b.matrix(List.of(w), false)).toList();
  }

  @Test
  void rmsNormPassesGradientsToRowsAndWeight() {
    differences()
        .input(3, 5)
        .input(5)
        .agree(
            (a, in) -> b.rmsNorm(a, in.get(0), in.get(1), 1e-3).out(),
            (a, in, d) -> {
              var normed = b.rmsNorm(a, in.get(0), in.get(1), 1e-3);
              return List.of(
                  b.rmsNormBackward(a, d, in.get(0), in.get(1), normed),
                  b.rmsNormWeightGradient(a, d, in.get(0), normed));
            });
  }

  @Test
  void layerNormPassesGradientsToRowsWeightAndBias() {
    differences()
        .input(3, 5)
        .input(5)
        .input(5)
        .agree(
            (a, in) -> b.layerNorm(a, in.get(0), in.get(1), in.get(2), 1e-3).out(),
            (a, in, d) -> {
              var normed = b.layerNorm(a, in.get(0), in.get(1), in.get(2), 1e-3);
              return List.of(
                  b.layerNormBackward(a, d, in.get(0), in.get(1), normed),
                  b.layerNormWeightGradient(a, d, in.get(0), normed),
                  b.sumRows(a, d));
            });
  }

  @Test
  void repeatedRowsCollectTheGradientsOfAllGroups() {
    differences()
        .input(6, 4)
        .input(3, 4)
        .agree(
            (a, in) -> b.addRepeated(a, in.get(0), in.get(1)),
            (a, in, d) -> List.of(d, b.sumRepeated(a, d, 3)));
  }

  @ParameterizedTest
  @EnumSource
  void anActivationPassesItsSlope(Activation kind) {
    differences()
        .input(4, 5)
        .agree(
            (a, in) -> b.activation(a, kind, in.get(0)),
            (a, in, d) -> List.of(b.activationBackward(a, kind, d, in.get(0))));
  }

  @ParameterizedTest
  @EnumSource
  void aGatedActivationPassesGradientsToBothHalves(Activation kind) {
    differences()
        .input(4, 6)
        .agree(
            (a, in) -> b.gated(a, kind, in.get(0)),
            (a, in, d) -> List.of(b.gatedBackward(a, kind, d, in.get(0))));
  }

  @Test
  void softmaxPassesItsJacobian() {
    differences()
        .input(4, 5)
        .agree(
            (a, in) -> b.softmax(a, in.get(0)),
            (a, in, d) -> List.of(b.softmaxBackward(a, d, b.softmax(a, in.get(0)))));
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void pickedScoresPassTheirGradientsToTheChosen(boolean normalise) {
    Array chosen = ints(new int[] {3, 1, 0, 2, 4, 3}, 3, 2);
    differences()
        .positive(3, 5)
        .agree(
            (a, in) -> b.pick(a, in.get(0), chosen, normalise),
            (a, in, d) -> List.of(b.pickBackward(a, d, in.get(0), chosen, normalise)));
  }

  @Test
  void permutedRowsAddUpAtTheirTokens() {
    Array chosen = ints(new int[] {2, 0, 0, 2, 1, 0}, 3, 2);
    differences()
        .input(3, 4)
        .agree(
            (a, in) -> b.permute(a, in.get(0), b.dispatch(a, chosen, 3)),
            (a, in, d) -> List.of(b.permuteBackward(a, d, b.dispatch(a, chosen, 3))));
  }

  @Test
  void combinedRowsPassGradientsToRowsAndWeights() {
    Array chosen = ints(new int[] {2, 0, 0, 2, 1, 0}, 3, 2);
    differences()
        .input(6, 4)
        .input(3, 2)
        .agree(
            (a, in) -> b.combine(a, in.get(0), in.get(1), b.dispatch(a, chosen, 3)),
            (a, in, d) -> {
              Dispatch dispatch = b.dispatch(a, chosen, 3);
              var back = b.combineBackward(a, d, in.get(0), in.get(1), dispatch);
              return List.of(back.dRows(), back.dWeights());
            });
  }

  @Test
  void gatheredRowsAddUpInTheTable() {
    Array rows = ints(new int[] {1, 3, 1, 1, 0}, 5);
    differences()
        .input(4, 3)
        .agree(
            (a, in) -> b.gatherRows(a, in.get(0), rows),
            (a, in, d) -> List.of(b.scatterRows(a, d, rows, 4)));
  }

  @Test
  void replacedRowsPassTheirGradientsToTheValues() {
    Array rows = ints(new int[] {3, 0}, 2);
    differences()
        .input(5, 3)
        .input(2, 3)
        .agree(
            (a, in) -> b.replaceRows(a, in.get(0), rows, in.get(1)),
            (a, in, d) -> List.of(b.clearRows(a, d, rows), b.gatherRows(a, d, rows)));
  }

  @Test
  void aRotationIsUndoneInTheBackward() {
    Array positions = ints(new int[] {2, 0, 1}, 3);
    double[] angles = {0.1, 2, -1, 0.7, 3, 0.2};
    Array cos = numbers.allocate(DType.F64, 3, 2);
    Array sin = numbers.allocate(DType.F64, 3, 2);
    b.copyIn(cos, MemorySegment.ofArray(Arrays.stream(angles).map(Math::cos).toArray()));
    b.copyIn(sin, MemorySegment.ofArray(Arrays.stream(angles).map(Math::sin).toArray()));
    differences()
        .input(3, 8)
        .agree(
            (a, in) -> b.rotate(a, in.get(0), 0, 2, positions, cos, sin, false),
            (a, in, d) -> List.of(b.rotate(a, d, 0, 2, positions, cos, sin, true)));
  }

  @ParameterizedTest
  @CsvSource({"3, 3, false, 0", "3, 3, true, 0", "2, 5, true, 2", "4, 2, true, 0"})
  void attentionPassesGradientsToQueriesKeysValuesAndBias(
      int queries, int keys, boolean causal, int window) {
    var shape = new Attention(2, queries, keys, 4, 2, 2, 0.6, causal, window);
    byte[] seen = new byte[2 * keys];
    Arrays.fill(seen, (byte) 1);
    seen[1] = 0;
    Array keyMask = mask(seen, 2, keys);
    differences()
        .input(2L * queries, 8)
        .input(2L * keys, 4)
        .input(2L * keys, 4)
        .input(4, queries, keys)
        .agree(
            (a, in) ->
                b.attend(a, shape, in.get(0), in.get(1), in.get(2), keyMask, in.get(3)).out(),
            (a, in, d) -> {
              Array q = in.get(0);
              Array k = in.get(1);
              Array v = in.get(2);
              Array bias = in.get(3);
              var attended = b.attend(a, shape, q, k, v, keyMask, bias);
              var back = b.attendBackward(a, shape, d, q, k, v, attended, keyMask, bias, true);
              return List.of(
                  back.dQ(), back.dK(), back.dV(), java.util.Objects.requireNonNull(back.dBias()));
            });
  }

  @Test
  void crossEntropyPassesGradientsToRowsWithATarget() {
    Array targets = ints(new int[] {2, -100, 0, 4}, 4);
    differences()
        .input(4, 5)
        .agree(
            (a, in) -> b.crossEntropy(a, in.get(0), targets, 3).loss(),
            (a, in, d) -> {
              var lost = b.crossEntropy(a, in.get(0), targets, 3);
              return List.of(b.crossEntropyBackward(a, d, in.get(0), targets, lost, 3));
            });
  }

  @ParameterizedTest
  @EnumSource
  void theBalanceLossPassesGradientsToTheProbabilitiesOfEachLayer(BalanceForm form) {
    List<Array> chosen =
        List.of(
            ints(new int[] {0, 1, 2, 1, 3, 0, 1, 2}, 4, 2),
            ints(new int[] {3, 1, 3, 2, 3, 0, 1, 3}, 4, 2));
    Array counted = mask(new byte[] {1, 0, 1, 1}, 4);
    differences()
        .positive(4, 4)
        .positive(4, 4)
        .agree(
            (a, in) -> b.balance(a, in, chosen, counted, form, 4).loss(),
            (a, in, d) -> {
              var lost = b.balance(a, in, chosen, counted, form, 4);
              return b.balanceBackward(a, d, in, counted, lost, form, 4);
            });
  }
}
