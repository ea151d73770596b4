package io.moextend.backend;

import io.moextend.array.Array;
import java.util.ArrayList;
import java.util.stream.Stream;

final class ElementCases {
  private static final int[][] SHAPES = {
    {1, 2}, {5, 6}, {0, 4}, {33, 66}, {7, 130}, {3, 192}, {2, 1200}
  };

  private ElementCases() {}

  static Stream<Case> cases() {
    var cases = new ArrayList<Case>();
    for (int[] s : SHAPES) {
      cases.add(sums(s[0], s[1]));
      cases.add(repeated(3, s[0] + 1, s[1]));
      cases.add(scaled(s[0], s[1]));
      for (Activation kind : Activation.values()) {
        cases.add(activation(kind, s[0], s[1]));
      }
    }
    cases.add(repeated(0, 4, 6).ofRows(0));
    cases.add(repeated(1, 4, 6));
    for (Activation kind : Activation.values()) {
      cases.add(tails(kind));
    }
    return cases.stream();
  }

  private static Case sums(int rows, int width) {
    return Case.of(
        "add, addScaled, multiply, scale, sumRows",
        "[%d, %d]".formatted(rows, width),
        t -> {
          Array x = t.values(rows, width);
          Array y = t.values(rows, width);
          Array z = t.wideValues(rows, width);
          Backend b = t.backend();
          t.result("x + y", b.add(t.arena(), x, y), t.compute(), rows, width);
          t.result("z + z", b.add(t.arena(), z, z), t.wide(), rows, width);
          t.result("x + 0.3 y", b.addScaled(t.arena(), x, y, 0.3), t.compute(), rows, width);
          t.result("x + 0.3 z", b.addScaled(t.arena(), x, z, 0.3), t.compute(), rows, width);
          t.result("z - 2 x", b.addScaled(t.arena(), z, x, -2), t.wide(), rows, width);
          t.result("x y", b.multiply(t.arena(), x, y), t.compute(), rows, width);
          t.result("x z", b.multiply(t.arena(), x, z), t.compute(), rows, width);
          t.result("z x", b.multiply(t.arena(), z, x), t.wide(), rows, width);
          t.result("1.7 x", b.scale(t.arena(), x, 1.7), t.compute(), rows, width);
          t.result("1.7 z", b.scale(t.arena(), z, 1.7), t.wide(), rows, width);
          t.result("sum of x", b.sumRows(t.arena(), x), t.wide(), width);
          t.result("sum of z", b.sumRows(t.arena(), z), t.wide(), width);
        });
  }

  private static Case repeated(int groups, int period, int width) {
    return Case.of(
        "addRepeated, sumRepeated",
        "%d times [%d, %d]".formatted(groups, period, width),
        t -> {
          long all = (long) groups * period;
          Array x = t.values(all, width);
          Array rows = t.values(period, width);
          Backend b = t.backend();
          t.result("sum", b.addRepeated(t.arena(), x, rows), t.compute(), all, width);
          t.result("dRows", b.sumRepeated(t.arena(), x, period), t.wide(), period, width);
        });
  }

  private static Case scaled(int rows, int width) {
    return Case.of(
            "scaleColumns, scaleColumnsGradient",
            "[%d, %d]".formatted(rows, width),
            t -> {
              Array x = t.values(rows, width);
              Array d = t.values(rows, width);
              Array scale = t.values(width);
              Backend b = t.backend();
              t.result("scaled", b.scaleColumns(t.arena(), x, scale), t.compute(), rows, width);
              t.result("dScale", b.scaleColumnsGradient(t.arena(), d, x), t.wide(), width);
            })
        .ofRows(rows);
  }

  private static Case activation(Activation kind, int rows, int width) {
    return Case.of(
        "activation and gated " + kind,
        "[%d, %d]".formatted(rows, width),
        t -> {
          Array x = t.values(rows, width);
          Array d = t.values(rows, width);
          Array half = t.values(rows, width / 2);
          Backend b = t.backend();
          t.result("f(x)", b.activation(t.arena(), kind, x), t.compute(), rows, width);
          t.result(
              "d f'(x)", b.activationBackward(t.arena(), kind, d, x), t.compute(), rows, width);
          t.result("gated", b.gated(t.arena(), kind, x), t.compute(), rows, width / 2);
          Array dX = b.gatedBackward(t.arena(), kind, half, x);
          t.result("dX of gated", dX, t.compute(), rows, width);
        });
  }

  /** Numbers at which a careless formula overflows or cancels. */
  private static Case tails(Activation kind) {
    return Case.of(
        "activation " + kind,
        "far from zero",
        t -> {
          double[] near = {0, -0.0, 1e-6, -1e-6, 0.5, -0.5, 1, -1, 4, -4, 5.5, -5.5};
          double[] far = {8, -8, 12, -12, 30, -30, 100, -100};
          Backend b = t.backend();
          for (double[] values : new double[][] {near, far}) {
            Array x = t.valuesOf(values, values.length);
            Array f = b.activation(t.arena(), kind, x);
            Array d = b.activationBackward(t.arena(), kind, x, x);
            t.result("f(x)", f, t.compute(), values.length);
            t.result("x f'(x)", d, t.compute(), values.length);
          }
        });
  }
}
