package io.moextend.backend;

import io.moextend.array.Array;
import io.moextend.backend.LossKernels.BalanceForm;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

final class LossCases {
  private LossCases() {}

  static Stream<Case> cases() {
    var cases = new ArrayList<Case>();
    for (int[] s :
        new int[][] {{1, 2}, {5, 7}, {0, 9}, {33, 100}, {64, 257}, {2, 1000}, {3, 2144}}) {
      cases.add(crossEntropy(s[0], s[1], false));
      cases.add(crossEntropy(s[0], s[1], true));
    }
    cases.add(weighted(5, 7, 1e-4, 0));
    cases.add(weighted(33, 100, 1e-2, 0.1));
    cases.add(weighted(3, 2144, 1e-3, 0));
    cases.add(weighted(4, 5000, 0, 0.2));
    cases.add(weighted(0, 9, 1e-4, 0));
    cases.add(nothingWanted());
    cases.add(
        Case.of(
            "crossEntropy",
            "of logits beyond what e^x holds in F32",
            t -> bothWays(t, new int[] {3, 0, -1, 7, 2, 1, 6, 4}, 8, 60, 5)));
    for (BalanceForm form : BalanceForm.values()) {
      cases.add(balance(form, 17, 2, new int[] {5, 5, 5}, Mask.NONE));
      cases.add(balance(form, 40, 2, new int[] {9, 9}, Mask.SOME));
      cases.add(balance(form, 1, 1, new int[] {3}, Mask.NONE));
      cases.add(balance(form, 6, 2, new int[] {4, 4}, Mask.ALL));
    }
    cases.add(balance(BalanceForm.PER_LAYER, 23, 2, new int[] {8, 9, 8}, Mask.SOME));
    return cases.stream();
  }

  private enum Mask {
    NONE,
    SOME,
    ALL
  }

  private static Case crossEntropy(int rows, int classes, boolean padded) {
    return Case.of(
        "crossEntropy",
        "[%d, %d]%s".formatted(rows, classes, padded ? " with ignored rows" : ""),
        t -> {
          int[] targets = t.random().ints(rows, 0, classes).toArray();
          for (int i = 0; padded && i < rows; i += 3) {
            targets[i] = i % 2 == 0 ? -100 : -1;
          }
          bothWays(t, targets, classes, 4, 7.5);
        });
  }

  private static Case weighted(int rows, int classes, double zLoss, double smoothing) {
    return Case.of(
        "weightedCrossEntropy",
        "[%d, %d] with z-loss %s and smoothing %s".formatted(rows, classes, zLoss, smoothing),
        t -> {
          int[] targets = t.random().ints(rows, 0, classes).toArray();
          for (int i = 2; i < rows; i += 3) {
            targets[i] = -1;
          }
          double[] logits = Arrays.stream(t.normal(rows, classes)).map(x -> 4 * x).toArray();
          Array in = t.valuesOf(logits, rows, classes);
          Array at = t.intsOf(targets, rows);
          var how = new LossKernels.Weighting(t.widePositive(rows), zLoss, smoothing, 2.5);
          Array dLoss = t.wideValuesOf(new double[] {1.25}, 1);
          Backend b = t.backend();
          var lost = b.weightedCrossEntropy(t.arena(), in, at, how);
          t.result("loss", lost.loss(), t.wide(), 1);
          t.result("zLoss", lost.zLoss(), t.wide(), 1);
          t.loosely("perRow", lost.perRow(), t.wide(), 4, rows);
          t.result("logSumExp", lost.logSumExp(), t.wide(), rows);
          Array d = b.weightedCrossEntropyBackward(t.arena(), dLoss, in, at, how, lost);
          t.loosely("dLogits", d, t.compute(), 4, rows, classes);
        });
  }

  private static Case nothingWanted() {
    return Case.of(
        "crossEntropy", "all rows ignored", t -> bothWays(t, new int[] {-100, -100, -1}, 6, 4, 1));
  }

  private static void bothWays(
      Trial t, int[] targets, int classes, double spread, double denominator) {
    int rows = targets.length;
    double[] logits = Arrays.stream(t.normal(rows, classes)).map(x -> spread * x).toArray();
    if (rows > 0 && targets[0] >= 0) { // the least likely, or the loss might be nearly nothing
      targets[0] =
          IntStream.range(0, classes).reduce((a, b) -> logits[b] < logits[a] ? b : a).orElse(0);
    }
    Array in = t.valuesOf(logits, rows, classes);
    Array at = t.intsOf(targets, rows);
    Array dLoss = t.wideValuesOf(new double[] {1.25}, 1);
    Backend b = t.backend();
    var lost = b.crossEntropy(t.arena(), in, at, denominator);
    t.result("loss", lost.loss(), t.wide(), 1);
    t.result("perRow", lost.perRow(), t.wide(), rows);
    t.result("logSumExp", lost.logSumExp(), t.wide(), rows);
    // where a probability comes near its target's 1, the rounding of logSumExp is most of the rest
    t.loosely(
        "dLogits",
        b.crossEntropyBackward(t.arena(), dLoss, in, at, lost, denominator),
        t.compute(),
        4,
        rows,
        classes);
  }

  private static Case balance(BalanceForm form, int tokens, int k, int[] experts, Mask masked) {
    return Case.of(
        "balance " + form,
        "%d tokens, %d of %s, masked %s".formatted(tokens, k, Arrays.toString(experts), masked),
        t -> {
          List<Array> probabilities = new ArrayList<>();
          List<Array> chosen = new ArrayList<>();
          for (int e : experts) {
            probabilities.add(t.widePositive(tokens, e));
            chosen.add(t.choices(tokens, k, e));
          }
          Array mask = mask(t, masked, tokens);
          Array dLoss = t.wideValuesOf(new double[] {0.75}, 1);
          Backend b = t.backend();
          var lost = b.balance(t.arena(), probabilities, chosen, mask, form, 3);
          t.result("loss", lost.loss(), t.wide(), 1);
          List<Array> d = b.balanceBackward(t.arena(), dLoss, probabilities, mask, lost, form, 3);
          for (int l = 0; l < experts.length; l++) {
            t.result("shares of layer " + l, lost.shares().get(l), t.wide(), experts[l]);
            t.result("dProbabilities of layer " + l, d.get(l), t.wide(), tokens, experts[l]);
          }
        });
  }

  private static @Nullable Array mask(Trial t, Mask masked, int tokens) {
    return switch (masked) {
      case NONE -> null;
      case SOME -> t.mask(tokens);
      case ALL -> t.maskOf(new double[tokens], tokens);
    };
  }
}
