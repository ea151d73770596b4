package io.moextend.backend.bench;

import static io.moextend.backend.bench.KernelCase.computing;
import static io.moextend.backend.bench.KernelCase.moving;

import io.moextend.array.Array;
import io.moextend.backend.Dispatch;
import io.moextend.backend.Matrix;
import io.moextend.backend.MatrixKernels.Addend;
import io.moextend.backend.MatrixKernels.Share;
import java.util.List;
import java.util.function.Function;
import java.util.stream.Stream;

/** Products of the widest layer: gate and up of one expert side by side. */
final class MatrixBenches {
  private static final int RANK = 16;

  private MatrixBenches() {}

  static Stream<KernelCase> cases() {
    return Stream.of(oneRow(), dense(), sums(), grouped()).flatMap(cases -> cases);
  }

  /** Handing a matrix over reads nothing: the product of one row does. */
  private static Stream<KernelCase> oneRow() {
    return Stream.of(
        moving(
            "matrix",
            s -> "[%d, %d], handed over, one row".formatted(2 * s.intermediate(), s.hidden()),
            s -> s.narrow(2L * s.intermediate() * s.hidden()),
            bed -> {
              Array w = weights(bed);
              Array x = bed.values(1, bed.setting().hidden());
              return to -> {
                try (Matrix matrix = bed.backend().matrix(List.of(w), false)) {
                  bed.backend().product(to, x, matrix, null, x.dtype());
                }
              };
            }));
  }

  private static Stream<KernelCase> dense() {
    return Stream.of(
        computing(
            "product",
            MatrixBenches::shape,
            s -> operations(s, s.wide()),
            bed -> {
              Matrix w = matrix(bed);
              Array x = bed.values(bed.setting().wide(), w.in());
              return to -> bed.backend().product(to, x, w, null, x.dtype());
            }),
        computing(
            "productTransposed",
            MatrixBenches::shape,
            s -> operations(s, s.wide()),
            bed -> {
              Matrix w = matrix(bed);
              Array d = bed.values(bed.setting().wide(), w.out());
              return to -> bed.backend().productTransposed(to, d, w);
            }),
        computing(
            "weightGradient",
            MatrixBenches::shape,
            s -> operations(s, s.wide()),
            bed -> {
              Setting s = bed.setting();
              Array d = bed.values(s.wide(), 2L * s.intermediate());
              Array x = bed.values(s.wide(), s.hidden());
              return to -> bed.backend().weightGradient(to, d, 0, d.dim(1), x);
            }));
  }

  /** Of a layer and the LoRA beside it. */
  private static Stream<KernelCase> sums() {
    return Stream.of(
        computing(
            "productWith",
            s -> shape(s) + " + [%d]".formatted(RANK),
            s -> operations(s, s.wide()) + lowRank(s, 2L * s.intermediate()),
            bed -> {
              Matrix w = matrix(bed);
              Array x = bed.values(bed.setting().wide(), w.in());
              Array h = bed.values(bed.setting().wide(), RANK);
              var addends = List.of(new Addend(0, h, bed.matrix(RANK, w.out())));
              return to -> bed.backend().productWith(to, x, w, null, addends);
            }),
        computing(
            "sumTransposed",
            s -> shape(s) + " + [%d]".formatted(RANK),
            s -> operations(s, s.wide()) + lowRank(s, s.hidden()),
            bed -> {
              Matrix w = matrix(bed);
              int rows = bed.setting().wide();
              var shares =
                  List.of(
                      new Share(bed.values(rows, w.out()), w),
                      new Share(bed.values(rows, RANK), bed.matrix(RANK, w.in())));
              return to -> bed.backend().sumTransposed(to, null, shares);
            }));
  }

  private static long lowRank(Setting s, long width) {
    return 2L * s.wide() * RANK * width;
  }

  private static Stream<KernelCase> grouped() {
    return Stream.of(
        overExperts(
            "groupedProduct",
            bed -> {
              Dispatch dispatch = dispatch(bed);
              List<Matrix> experts = experts(bed);
              Array x = bed.values(dispatch.rows(), bed.setting().hidden());
              return to -> bed.backend().groupedProduct(to, x, dispatch, experts);
            }),
        overExperts(
            "groupedProductTransposed",
            bed -> {
              Dispatch dispatch = dispatch(bed);
              List<Matrix> experts = experts(bed);
              Array d = bed.values(dispatch.rows(), experts.getFirst().out());
              return to -> bed.backend().groupedProductTransposed(to, d, dispatch, experts);
            }),
        overExperts(
            "groupedWeightGradient",
            bed -> {
              Setting s = bed.setting();
              Dispatch dispatch = dispatch(bed);
              Array x = bed.values(dispatch.rows(), s.hidden());
              Array d = bed.values(dispatch.rows(), 2L * s.intermediate());
              return to -> {
                for (int e = 0; e < s.experts(); e++) {
                  to.free(bed.backend().groupedWeightGradient(to, d, 0, d.dim(1), x, dispatch, e));
                }
              };
            }));
  }

  private static KernelCase overExperts(String name, Function<Bed, KernelCase.Call> prepare) {
    return computing(
        name,
        s -> "%d experts, ".formatted(s.experts()) + shape(s, s.topK() * s.wide()),
        s -> operations(s, s.topK() * s.wide()),
        prepare);
  }

  private static Dispatch dispatch(Bed bed) {
    Setting s = bed.setting();
    return bed.backend().dispatch(bed.arena(), bed.chosen(s.wide()), s.experts());
  }

  private static List<Matrix> experts(Bed bed) {
    return Stream.generate(() -> matrix(bed)).limit(bed.setting().experts()).toList();
  }

  private static Matrix matrix(Bed bed) {
    return bed.matrix(2L * bed.setting().intermediate(), bed.setting().hidden());
  }

  private static Array weights(Bed bed) {
    return bed.values(2L * bed.setting().intermediate(), bed.setting().hidden());
  }

  private static long operations(Setting s, long rows) {
    return 2L * rows * 2 * s.intermediate() * s.hidden();
  }

  private static String shape(Setting s) {
    return shape(s, s.wide());
  }

  private static String shape(Setting s, int rows) {
    return "[%d, %d] x [%d, %d]".formatted(rows, s.hidden(), 2 * s.intermediate(), s.hidden());
  }
}
