package io.moextend.backend;

import io.moextend.array.Array;
import java.util.ArrayList;
import java.util.stream.Stream;

final class AdapterCases {
  private AdapterCases() {}

  static Stream<Case> cases() {
    var cases = new ArrayList<Case>();
    for (int[] s :
        new int[][] {
          {1, 1, 1, 1},
          {7, 3, 2, 5},
          {5, 1, 3, 33},
          {9, 4, 10, 64},
          {130, 2, 3, 40},
          {3, 1, 4, 2080},
          {0, 2, 3, 4}
        }) {
      cases.add(rescale(s[0], s[1], s[2], s[3]));
    }
    for (int[] s :
        new int[][] {{1, 1, 1}, {7, 3, 2}, {33, 10, 4}, {5, 1, 40}, {70, 15, 16}, {0, 2, 3}}) {
      cases.add(blocks(s[0], s[1], s[2]));
    }
    cases.add(columns(1, 1, 0, 1));
    cases.add(columns(7, 33, 5, 20));
    cases.add(columns(40, 96, 32, 64));
    cases.add(columns(3, 4200, 17, 4100));
    cases.add(columns(0, 8, 2, 4));
    return cases.stream();
  }

  private static Case rescale(int rows, int heads, int experts, int size) {
    return Case.of(
            "rescale",
            "[%d, %d heads of %d] by %d experts".formatted(rows, heads, size, experts),
            t -> {
              Array x = t.values(rows, heads * size);
              Array p = t.widePositive(rows * heads, experts);
              Array scaling = t.values(heads, experts, size);
              Array d = t.values(rows, heads * size);
              Backend b = t.backend();
              t.result("y", b.rescale(t.arena(), x, p, scaling), t.compute(), rows, heads * size);
              var g = b.rescaleBackward(t.arena(), d, x, p, scaling);
              t.result("dX", g.dX(), t.compute(), rows, heads * size);
              t.loosely("dP", g.dP(), t.wide(), 2, rows * heads, experts);
              t.loosely("dScaling", g.dScaling(), t.wide(), 2, heads, experts, size);
            })
        .ofRows(rows);
  }

  private static Case blocks(int rows, int experts, int rank) {
    return Case.of(
            "scaleBlocks",
            "[%d, %d of %d]".formatted(rows, experts, rank),
            t -> {
              Array h = t.values(rows, experts * rank);
              Array p = t.widePositive(rows, experts);
              Array d = t.values(rows, experts * rank);
              Backend b = t.backend();
              t.result("y", b.scaleBlocks(t.arena(), h, p), t.compute(), rows, experts * rank);
              var g = b.scaleBlocksBackward(t.arena(), d, h, p);
              t.result("dH", g.dH(), t.compute(), rows, experts * rank);
              t.loosely("dP", g.dP(), t.wide(), 2, rows, experts);
            })
        .ofRows(rows);
  }

  private static Case columns(int rows, int width, int from, int columns) {
    return Case.of(
            "addColumnsInto",
            "%d of [%d, %d] from %d".formatted(columns, rows, width, from),
            t -> {
              Array y = t.values(rows, width);
              Array delta = t.values(rows, columns);
              Array sum = t.state(y);
              t.backend().addColumnsInto(sum, from, delta);
              t.result("y", sum, t.compute(), rows, width);
            })
        .ofRows(rows);
  }
}
