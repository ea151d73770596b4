package io.moextend.backend;

import io.moextend.array.Array;
import io.moextend.backend.LossKernels.BalanceForm;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Each backward kernel of routing, on the oracle, is the derivative of its forward kernel. */
class RoutingGradientTest {
  private static final long SEED = 4712;

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
  void softmaxPassesItsJacobian() {
    differences
        .input(4, 5)
        .agree(
            (a, in) -> b.softmax(a, in.get(0)),
            (a, in, d) -> List.of(b.softmaxBackward(a, d, b.softmax(a, in.get(0)))));
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void pickedScoresPassTheirGradientsToTheChosen(boolean normalise) {
    Array chosen = differences.ints(new int[] {3, 1, 0, 2, 4, 3}, 3, 2);
    differences
        .positive(3, 5)
        .agree(
            (a, in) -> b.pick(a, in.get(0), chosen, normalise),
            (a, in, d) -> List.of(b.pickBackward(a, d, in.get(0), chosen, normalise)));
  }

  @Test
  void permutedRowsAddUpAtTheirTokens() {
    Array chosen = differences.ints(new int[] {2, 0, 0, 2, 1, 0}, 3, 2);
    differences
        .input(3, 4)
        .agree(
            (a, in) -> b.permute(a, in.get(0), b.dispatch(a, chosen, 3)),
            (a, in, d) -> List.of(b.permuteBackward(a, d, b.dispatch(a, chosen, 3))));
  }

  @Test
  void combinedRowsPassGradientsToRowsAndWeights() {
    Array chosen = differences.ints(new int[] {2, 0, 0, 2, 1, 0}, 3, 2);
    differences
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
  void aGroupedProductPassesGradientsToRowsAndToEachExpert() {
    Array chosen = differences.ints(new int[] {2, 0, 0, 2, 2, 0}, 3, 2); // none to expert 1
    differences
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

  @ParameterizedTest
  @EnumSource
  void theBalanceLossPassesGradientsToTheProbabilitiesOfEachLayer(BalanceForm form) {
    List<Array> chosen =
        List.of(
            differences.ints(new int[] {0, 1, 2, 1, 3, 0, 1, 2}, 4, 2),
            differences.ints(new int[] {3, 1, 3, 2, 3, 0, 1, 3}, 4, 2));
    Array counted = differences.mask(new byte[] {1, 0, 1, 1}, 4);
    differences
        .positive(4, 4)
        .positive(4, 4)
        .agree(
            (a, in) -> b.balance(a, in, chosen, counted, form, 4).loss(),
            (a, in, d) -> {
              var lost = b.balance(a, in, chosen, counted, form, 4);
              return b.balanceBackward(a, d, in, counted, lost, form, 4);
            });
  }

  @SuppressWarnings("MustBeClosedChecker") // closed by the caller
  private List<Matrix> experts(List<Array> inputs) {
    return inputs.stream().skip(1).map(w -> b.matrix(List.of(w), false)).toList();
  }
}
