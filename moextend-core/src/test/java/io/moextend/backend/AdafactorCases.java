package io.moextend.backend;

import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.AdafactorKernels.Move;
import io.moextend.backend.AdafactorKernels.Squares;
import java.util.ArrayList;
import java.util.stream.Stream;

final class AdafactorCases {
  /** As after 1.1 million steps, and as in the first. */
  private static final Squares LATE = new Squares(0.99998533725, 1.4662743e-5, 1e-30, 1);

  private static final Squares FIRST = new Squares(0, 1, 1e-30, 0.37);

  private AdafactorCases() {}

  static Stream<Case> cases() {
    var cases = new ArrayList<Case>();
    for (int size : new int[] {1, 15, 64, 3001, 0}) {
      cases.add(whole(size, FIRST, true));
      cases.add(whole(size, LATE, true));
    }
    cases.add(whole(40, new Squares(0.9, 0.1, 1e-3, 2), false));
    for (int[] shape : new int[][] {{1, 1}, {3, 7}, {70, 33}, {200, 16}, {2, 2100}}) {
      cases.add(factored(shape[0], shape[1], FIRST));
      cases.add(factored(shape[0], shape[1], LATE));
    }
    return cases.stream();
  }

  private static Move move(long elements, Squares squares, boolean byParameter) {
    return new Move(0.3, elements, 1, byParameter, 1e-3, squares.gradientScale());
  }

  private static Case whole(int size, Squares how, boolean byParameter) {
    return Case.of(
        "squaresInto, moveInto",
        "%d, %s%s".formatted(size, how, byParameter ? "" : ", one rate"),
        t -> {
          Backend b = t.backend();
          Array gradient = t.wideValues(size);
          Array v = t.state(t.widePositive(size));
          Array master = t.state(t.wideValues(size));
          Array before = t.state(master);
          Array updates = b.squaresInto(t.arena(), v, gradient, how);
          // sums of float32 lanes
          t.loosely("updates", b.cast(t.arena(), updates, t.wide()), t.wide(), 10, 1);
          t.result("v", v, t.wide(), size);
          Array sums = sums(t, updates, master);
          b.moveInto(master, v, gradient, sums, move(2L * size, how, byParameter));
          t.result("master", master, t.wide(), size);
          t.loosely("move", b.addScaled(t.arena(), master, before, -1), t.wide(), 100, size);
        });
  }

  private static Case factored(int rows, int columns, Squares how) {
    return Case.of(
        "factoredSquaresInto, factoredMoveInto",
        "%d x %d, %s".formatted(rows, columns, how),
        t -> {
          Backend b = t.backend();
          Array gradient = t.wideValues(rows, columns);
          Array r = t.state(t.widePositive(rows));
          Array c = t.state(t.widePositive(columns));
          Array master = t.state(t.wideValues(rows, columns));
          Array before = t.state(master);
          Array updates = b.factoredSquaresInto(t.arena(), r, c, gradient, how);
          t.loosely("updates", b.cast(t.arena(), updates, t.wide()), t.wide(), 10, 1);
          t.result("rows", r, t.wide(), rows);
          t.result("columns", c, t.wide(), columns);
          Array sums = sums(t, updates, master);
          b.factoredMoveInto(master, r, c, gradient, sums, move(master.size(), how, true));
          t.result("master", master, t.wide(), rows, columns);
          Array moved = b.addScaled(t.arena(), master, before, -1);
          t.loosely("move", moved, t.wide(), 100, rows, columns);
        });
  }

  private static Array sums(Trial t, Array updates, Array master) {
    Array sums = t.arena().allocate(DType.F64, 2);
    t.backend().copyInto(sums.slice(0, 1), updates);
    t.backend().copyInto(sums.slice(1, 2), t.backend().sumOfSquares(t.arena(), master));
    return sums;
  }
}
