package io.moextend.backend;

import io.moextend.array.Array;
import io.moextend.backend.AttentionKernels.Attention;
import io.moextend.backend.MatrixKernels.Addend;
import io.moextend.backend.MatrixKernels.Share;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/** Kernels that do several others' work at once. */
final class SumCases {
  private SumCases() {}

  static Stream<Case> cases() {
    var cases = new ArrayList<Case>();
    for (int[] s : new int[][] {{1, 7, 5, 3}, {9, 64, 40, 16}, {33, 100, 65, 4}, {0, 7, 3, 2}}) {
      cases.add(with(s[0], s[1], s[2], s[3]).ofRows(s[0]));
      cases.add(transposed(s[0], s[1], s[2], s[3]).ofRows(s[0]));
    }
    cases.add(with(300, 48, 700, 16));
    cases.add(transposed(300, 600, 48, 16));
    cases.add(byDistance(new Attention(2, 1, 5, 1, 1, 8, 0.3, false, 0)));
    cases.add(byDistance(new Attention(2, 7, 20, 4, 2, 16, 0.3, false, 0)));
    cases.add(byDistance(new Attention(2, 150, 150, 2, 2, 8, 1, true, 0)));
    cases.add(byDistance(new Attention(1, 512, 300, 2, 2, 16, 1, false, 0)));
    return cases.stream();
  }

  /** To the first columns, to some behind a seam of two parts, and to some that others overlap. */
  private static Case with(int rows, int in, int out, int rank) {
    return Case.of(
        "productWith",
        "[%d, %d] x 2·[%d, %d] + [%d]".formatted(rows, in, out, in, rank),
        t -> {
          Backend b = t.backend();
          Array x = t.values(rows, in);
          Matrix w = t.matrix(true, t.values(out, in), t.values(out, in));
          Array bias = t.values(2 * out);
          var addends =
              List.of(
                  new Addend(0, t.values(rows, rank), t.matrix(false, t.values(rank, out))),
                  new Addend(out, t.values(rows, 3), t.matrix(false, t.values(3, out))),
                  new Addend(
                      out / 2,
                      t.values(rows, 2 * rank),
                      t.matrix(false, t.values(rank, out), t.values(rank, out))));
          t.result("y", b.productWith(t.arena(), x, w, bias, addends), t.compute(), rows, 2L * out);
          Array some = b.productWith(t.arena(), x, w, null, addends.subList(1, 2));
          t.result("some", some, t.compute(), rows, 2L * out);
        });
  }

  private static Case transposed(int rows, int in, int out, int rank) {
    return Case.of(
        "sumTransposed",
        "[%d] x [%d, %d] + [%d, %d]".formatted(rows, 2 * out, in, rank, in),
        t -> {
          Backend b = t.backend();
          Array first = t.values(rows, in);
          var shares =
              List.of(
                  new Share(
                      t.values(rows, 2 * out),
                      t.matrix(true, t.values(out, in), t.values(out, in))),
                  new Share(t.values(rows, rank), t.matrix(false, t.values(rank, in))),
                  new Share(t.wideValues(rows, out), t.matrix(true, t.values(out, in))));
          t.loosely("all", b.sumTransposed(t.arena(), first, shares), t.compute(), 2, rows, in);
          t.loosely("no first", b.sumTransposed(t.arena(), null, shares), t.compute(), 2, rows, in);
          t.result(
              "one", b.sumTransposed(t.arena(), null, shares.subList(1, 2)), t.compute(), rows, in);
        });
  }

  /** And attention with it: a backend may read it in another form. */
  private static Case byDistance(Attention shape) {
    return Case.of(
        "biasByDistance",
        shape.toString(),
        t -> {
          Backend b = t.backend();
          int heads = shape.queryHeads();
          Array row = t.wideValues(heads, shape.queries() + shape.keys() - 1);
          Array bias = b.biasByDistance(t.arena(), row, shape.queries(), shape.keys());
          t.result("bias", bias, t.wide(), heads, shape.queries(), shape.keys());
          AttentionCases.bothWays(t, shape, null, bias, true);
        });
  }
}
