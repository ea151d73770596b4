package io.moextend.backend;

import io.moextend.array.Array;
import java.util.ArrayList;
import java.util.stream.Stream;

final class NormCases {
  private static final double EPS = 1e-5;
  private static final int[][] SHAPES = {
    {1, 3}, {1, 16}, {5, 7}, {0, 9}, {33, 65}, {64, 130}, {3, 1000}, {9, 64}, {3, 48}
  };

  private NormCases() {}

  static Stream<Case> cases() {
    var cases = new ArrayList<Case>();
    for (int[] s : SHAPES) {
      cases.add(rms(s[0], s[1]).ofRows(s[0]));
      cases.add(layer(s[0], s[1]).ofRows(s[0]));
    }
    cases.add(
        Case.of(
            "rmsNorm",
            "of zero rows and of very small ones",
            t -> {
              double[] values = t.normal(4, 12);
              for (int i = 0; i < 24; i++) {
                values[i] *= i < 12 ? 0 : 1e-4;
              }
              Array x = t.valuesOf(values, 4, 12);
              Array w = t.values(12);
              var normed = t.backend().rmsNorm(t.arena(), x, w, 1e-6);
              t.result("out", normed.out(), t.compute(), 4, 12);
              t.result("inverse", normed.inverse(), t.wide(), 4);
            }));
    cases.add(
        Case.of(
            "layerNorm",
            "of rows far from zero",
            t -> {
              double[] values = t.normal(4, 96);
              for (int i = 0; i < values.length; i++) {
                values[i] += 16;
              }
              Array x = t.valuesOf(values, 4, 96);
              var normed = t.backend().layerNorm(t.arena(), x, t.values(96), t.values(96), EPS);
              t.loosely("out", normed.out(), t.compute(), 4, 4, 96);
              t.result("mean", normed.mean(), t.wide(), 4);
            }));
    return cases.stream();
  }

  private static Case rms(int rows, int width) {
    return Case.of(
        "rmsNorm",
        "[%d, %d] and its gradients".formatted(rows, width),
        t -> {
          Array x = t.values(rows, width);
          Array w = t.values(width);
          Array d = t.values(rows, width);
          Backend b = t.backend();
          var normed = b.rmsNorm(t.arena(), x, w, EPS);
          t.result("out", normed.out(), t.compute(), rows, width);
          t.result("inverse", normed.inverse(), t.wide(), rows);
          t.result("dX", b.rmsNormBackward(t.arena(), d, x, w, normed), t.compute(), rows, width);
          t.result("dWeight", b.rmsNormWeightGradient(t.arena(), d, x, normed), t.wide(), width);
        });
  }

  private static Case layer(int rows, int width) {
    return Case.of(
        "layerNorm",
        "[%d, %d] and its gradients".formatted(rows, width),
        t -> {
          Array x = t.values(rows, width);
          Array w = t.values(width);
          Array bias = t.values(width);
          Array d = t.values(rows, width);
          Backend b = t.backend();
          var normed = b.layerNorm(t.arena(), x, w, bias, EPS);
          t.result("out", normed.out(), t.compute(), rows, width);
          t.result("inverse", normed.inverse(), t.wide(), rows);
          t.result("mean", normed.mean(), t.wide(), rows);
          t.result("dX", b.layerNormBackward(t.arena(), d, x, w, normed), t.compute(), rows, width);
          t.result("dWeight", b.layerNormWeightGradient(t.arena(), d, x, normed), t.wide(), width);
        });
  }
}
