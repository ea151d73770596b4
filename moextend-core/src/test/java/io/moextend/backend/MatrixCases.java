package io.moextend.backend;

import io.moextend.array.Array;
import io.moextend.array.DType;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;

final class MatrixCases {
  private MatrixCases() {}

  /** Rows, in, out: one, odd, no multiple of 16, 32 or 64, none, and some of each. */
  private static final int[][] SHAPES = {
    {1, 1, 1},
    {1, 33, 17},
    {5, 7, 3},
    {17, 64, 48},
    {33, 100, 65},
    {0, 7, 3},
    {64, 128, 32},
    {3, 1, 70}
  };

  static Stream<Case> cases() {
    var cases = new ArrayList<Case>();
    for (int[] s : SHAPES) {
      for (boolean frozen : new boolean[] {true, false}) {
        cases.add(product(s[0], s[1], s[2], frozen).ofRows(s[0]));
        cases.add(transposed(s[0], s[1], s[2], frozen).ofRows(s[0]));
      }
      cases.add(gradient(s[0], s[1], s[2]));
    }
    cases.add(gradient(700, 40, 24)); // in two products and a rest
    cases.add(gradient(1301, 16, 20)); // more than one takes
    cases.add(transposed(9, 24, 700, false)); // f32 takes 256 rows of the weights at once
    cases.add(stacked(true));
    cases.add(stacked(false));
    cases.add(refreshed());
    cases.add(wideGradientOfANarrowMatrix());
    for (boolean frozen : new boolean[] {true, false}) {
      cases.add(grouped("balanced", 24, 2, 4, 33, 40, frozen, -1));
      cases.add(grouped("one token", 1, 2, 4, 16, 8, frozen, -1).ofRows(0));
      cases.add(grouped("all to one expert", 19, 1, 5, 20, 12, frozen, 3).ofRows(0));
      cases.add(grouped("more experts than tokens", 3, 2, 9, 64, 32, frozen, -1).ofRows(0));
      cases.add(grouped("no tokens", 0, 2, 3, 8, 8, frozen, -1).ofRows(0));
      cases.add(grouped("many tokens", 150, 2, 3, 48, 70, frozen, -1));
    }
    return cases.stream();
  }

  private static Case product(int rows, int in, int out, boolean frozen) {
    return Case.of(
        "product",
        "[%d, %d] x [%d, %d] %s".formatted(rows, in, out, in, frozen ? "frozen" : "trainable"),
        t -> {
          Array x = t.values(rows, in);
          Array w = t.values(out, in);
          Array bias = t.values(out);
          Matrix matrix = t.matrix(frozen, w);
          Backend b = t.backend();
          t.result(
              "plain", b.product(t.arena(), x, matrix, null, t.compute()), t.compute(), rows, out);
          t.result("wide", b.product(t.arena(), x, matrix, null, t.wide()), t.wide(), rows, out);
          t.result(
              "biased", b.product(t.arena(), x, matrix, bias, t.compute()), t.compute(), rows, out);
          t.result(
              "wide and biased",
              b.product(t.arena(), x, matrix, bias, t.wide()),
              t.wide(),
              rows,
              out);
        });
  }

  private static Case transposed(int rows, int in, int out, boolean frozen) {
    return Case.of(
        "productTransposed",
        "[%d, %d] x [%d, %d] %s".formatted(rows, out, out, in, frozen ? "frozen" : "trainable"),
        t -> {
          Array dY = t.values(rows, out);
          Matrix matrix = t.matrix(frozen, t.values(out, in));
          t.result(
              "dX", t.backend().productTransposed(t.arena(), dY, matrix), t.compute(), rows, in);
        });
  }

  private static Case gradient(int rows, int in, int out) {
    return Case.of(
        "weightGradient",
        "[%d, %d]ᵀ x [%d, %d]".formatted(rows, out, rows, in),
        t -> {
          Array dY = t.values(rows, out);
          Array x = t.values(rows, in);
          int from = out / 3;
          int until = out - out / 4;
          Backend b = t.backend();
          t.result("whole", b.weightGradient(t.arena(), dY, 0, out, x), t.wide(), out, in);
          t.result(
              "columns",
              b.weightGradient(t.arena(), dY, from, until, x),
              t.wide(),
              until - from,
              in);
        });
  }

  private static Case stacked(boolean frozen) {
    return Case.of(
        "product",
        "of three parts " + (frozen ? "frozen" : "trainable"),
        t -> {
          Array x = t.values(9, 20);
          Array d = t.values(9, 36);
          Matrix matrix = t.matrix(frozen, t.values(16, 20), t.values(3, 20), t.values(17, 20));
          t.result(
              "out",
              t.backend().product(t.arena(), x, matrix, null, t.compute()),
              t.compute(),
              9,
              36);
          t.result("dX", t.backend().productTransposed(t.arena(), d, matrix), t.compute(), 9, 20);
        });
  }

  private static Case refreshed() {
    return Case.of(
        "refresh",
        "after both parts changed",
        t -> {
          Array x = t.values(6, 20);
          Array d = t.values(6, 27);
          Array first = t.state(t.values(10, 20));
          Array second = t.state(t.values(17, 20));
          Matrix stack = t.matrix(false, first, second);
          Matrix alone = t.matrix(false, second);
          Backend b = t.backend();
          t.result("before", b.product(t.arena(), x, stack, null, t.compute()), t.compute(), 6, 27);
          b.copyInto(first, t.values(10, 20));
          b.copyInto(second, t.values(17, 20));
          stack.refresh();
          alone.refresh();
          t.result("after", b.product(t.arena(), x, stack, null, t.compute()), t.compute(), 6, 27);
          t.result("dX", b.productTransposed(t.arena(), d, stack), t.compute(), 6, 20);
          t.result("alone", b.product(t.arena(), x, alone, null, t.compute()), t.compute(), 6, 17);
        });
  }

  private static Case wideGradientOfANarrowMatrix() {
    return Case.of(
        "productTransposed",
        "of a wide dY",
        t -> {
          Array dY = t.wideValues(5, 24);
          Matrix matrix = t.matrix(true, t.values(24, 40));
          // dY is rounded to the matrix' type first, which the oracle does not do
          t.loosely(
              "dX", t.backend().productTransposed(t.arena(), dY, matrix), t.compute(), 2, 5, 40);
        });
  }

  /**
   * @param only the expert all tokens go to, or -1 for random ones
   */
  private static Case grouped(
      String what, int tokens, int k, int experts, int in, int out, boolean frozen, int only) {
    return Case.of(
        "groupedProduct",
        what + (frozen ? ", frozen" : ", trainable"),
        t -> {
          Array chosen =
              only < 0
                  ? t.choices(tokens, k, experts)
                  : t.intsOf(IntStream.generate(() -> only).limit(tokens).toArray(), tokens, 1);
          Array xs = t.values((long) tokens * k, in);
          Array dYs = t.values((long) tokens * k, out);
          List<Matrix> matrices = new ArrayList<>();
          for (int e = 0; e < experts; e++) {
            matrices.add(t.matrix(frozen, t.values(out, in)));
          }
          Backend b = t.backend();
          Dispatch dispatch = b.dispatch(t.arena(), chosen, experts);
          DType type = t.compute();
          long rows = (long) tokens * k;
          var placed = new Placed(t, dispatch);
          Array x = placed.sorted(xs);
          Array dY = placed.sorted(dYs);
          Array y = b.groupedProduct(t.arena(), x, dispatch, matrices);
          t.result("out", placed.byChoice(y), type, rows, out);
          Array dX = b.groupedProductTransposed(t.arena(), dY, dispatch, matrices);
          t.result("dX", placed.byChoice(dX), type, rows, in);
          for (int e = 0; e < experts; e++) {
            Array dW = b.groupedWeightGradient(t.arena(), dY, 0, out, x, dispatch, e);
            t.result("dW of expert " + e, dW, t.wide(), out, in);
            Array part = b.groupedWeightGradient(t.arena(), dY, out / 2, out, x, dispatch, e);
            t.result("lower half of dW of expert " + e, part, t.wide(), out - out / 2, in);
          }
        });
  }
}
