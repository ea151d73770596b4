package io.moextend.backend;

import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.AttentionKernels.Attention;
import io.moextend.backend.AttentionKernels.Sight;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Each backward kernel of the oracle is the derivative of its forward kernel. */
class GradientConsistencyTest {
  private static final long SEED = 4711;

  private FiniteDifferences differences;
  private Backend b;

  @BeforeEach
  @SuppressWarnings("MustBeClosedChecker") // closed after each test
  void open() {
    differences = new FiniteDifferences(SEED);
    b = differences.backend();
  }

  @AfterEach
  void close() {
    differences.close();
  }

  @Test
  void aProductPassesGradientsToRowsWeightAndBias() {
    differences
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
  void rmsNormPassesGradientsToRowsAndWeight() {
    differences
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
    differences
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
    differences
        .input(6, 4)
        .input(3, 4)
        .agree(
            (a, in) -> b.addRepeated(a, in.get(0), in.get(1)),
            (a, in, d) -> List.of(d, b.sumRepeated(a, d, 3)));
  }

  @ParameterizedTest
  @EnumSource
  void anActivationPassesItsSlope(Activation kind) {
    differences
        .input(4, 5)
        .agree(
            (a, in) -> b.activation(a, kind, in.get(0)),
            (a, in, d) -> List.of(b.activationBackward(a, kind, d, in.get(0))));
  }

  @ParameterizedTest
  @EnumSource
  void aGatedActivationPassesGradientsToBothHalves(Activation kind) {
    differences
        .input(4, 6)
        .agree(
            (a, in) -> b.gated(a, kind, in.get(0)),
            (a, in, d) -> List.of(b.gatedBackward(a, kind, d, in.get(0))));
  }

  @Test
  void gatheredRowsAddUpInTheTable() {
    Array rows = differences.ints(new int[] {1, 3, 1, 1, 0}, 5);
    differences
        .input(4, 3)
        .agree(
            (a, in) -> b.gatherRows(a, in.get(0), rows),
            (a, in, d) -> List.of(b.scatterRows(a, d, rows, 4)));
  }

  @Test
  void replacedRowsPassTheirGradientsToTheValues() {
    Array rows = differences.ints(new int[] {3, 0}, 2);
    differences
        .input(5, 3)
        .input(2, 3)
        .agree(
            (a, in) -> b.replaceRows(a, in.get(0), rows, in.get(1)),
            (a, in, d) -> List.of(b.clearRows(a, d, rows), b.gatherRows(a, d, rows)));
  }

  @Test
  void aRotationIsUndoneInTheBackward() {
    Array positions = differences.ints(new int[] {2, 0, 1}, 3);
    double[] angles = {0.1, 2, -1, 0.7, 3, 0.2};
    Array cos = differences.constants(Arrays.stream(angles).map(Math::cos).toArray(), 3, 2);
    Array sin = differences.constants(Arrays.stream(angles).map(Math::sin).toArray(), 3, 2);
    differences
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
    var sight = new Sight(differences.mask(seen, 2, keys), null, false);
    attentionAgrees(shape, sight);
  }

  @ParameterizedTest
  @CsvSource({"4, 4, false, true", "4, 4, true, true", "3, 5, false, false"})
  void attentionOfSegmentsPassesGradients(int queries, int keys, boolean causal, boolean uniform) {
    var shape = new Attention(2, queries, keys, 2, 2, 2, 1, causal, 0);
    byte[] ofKeys = new byte[2 * keys];
    for (int i = 0; i < ofKeys.length; i++) {
      ofKeys[i] = (byte) (i % keys < 2 ? 1 : i % keys < keys - 1 ? 2 : 0);
    }
    byte[] ofQueries = new byte[2 * queries];
    for (int i = 0; i < ofQueries.length; i++) {
      ofQueries[i] = (byte) (i % queries < 1 ? 1 : i % queries < queries - 1 ? 2 : 0);
    }
    attentionAgrees(
        shape,
        new Sight(
            differences.mask(ofKeys, 2, keys), differences.mask(ofQueries, 2, queries), uniform));
  }

  private void attentionAgrees(Attention shape, Sight sight) {
    long queries = shape.queries();
    long keys = shape.keys();
    long width = (long) shape.queryHeads() * shape.headSize();
    long keyWidth = (long) shape.keyHeads() * shape.headSize();
    differences
        .input(2L * queries, width)
        .input(2L * keys, keyWidth)
        .input(2L * keys, keyWidth)
        .input(shape.queryHeads(), queries, keys)
        .agree(
            (a, in) -> b.attend(a, shape, in.get(0), in.get(1), in.get(2), sight, in.get(3)).out(),
            (a, in, d) -> {
              Array q = in.get(0);
              Array k = in.get(1);
              Array v = in.get(2);
              Array bias = in.get(3);
              var attended = b.attend(a, shape, q, k, v, sight, bias);
              var back = b.attendBackward(a, shape, d, q, k, v, attended, sight, bias, true);
              return List.of(back.dQ(), back.dK(), back.dV(), Objects.requireNonNull(back.dBias()));
            });
  }

  @Test
  void crossEntropyPassesGradientsToRowsWithATarget() {
    Array targets = differences.ints(new int[] {2, -100, 0, 4}, 4);
    differences
        .input(4, 5)
        .agree(
            (a, in) -> b.crossEntropy(a, in.get(0), targets, 3).loss(),
            (a, in, d) -> {
              var lost = b.crossEntropy(a, in.get(0), targets, 3);
              return List.of(b.crossEntropyBackward(a, d, in.get(0), targets, lost, 3));
            });
  }

  @ParameterizedTest
  @CsvSource({"0, 0", "0.01, 0", "0.01, 0.2"})
  void weightedCrossEntropyPassesGradientsToLogits(double zLoss, double smoothing) {
    Array targets = differences.ints(new int[] {2, -1, 0, 4}, 4);
    Array weights = differences.constants(new double[] {0.5, 1, 0, 2}, 4);
    var how = new LossKernels.Weighting(weights, zLoss, smoothing, 3);
    differences
        .input(4, 5)
        .agree(
            (a, in) -> b.weightedCrossEntropy(a, in.get(0), targets, how).loss(),
            (a, in, d) -> {
              var lost = b.weightedCrossEntropy(a, in.get(0), targets, how);
              return List.of(b.weightedCrossEntropyBackward(a, d, in.get(0), targets, how, lost));
            });
  }
}
