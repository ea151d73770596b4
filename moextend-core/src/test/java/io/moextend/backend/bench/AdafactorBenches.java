package io.moextend.backend.bench;

import static io.moextend.backend.bench.KernelCase.moving;

import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.AdafactorKernels.Move;
import io.moextend.backend.AdafactorKernels.Squares;
import java.util.stream.Stream;

/** Both halves of an Adafactor step over a matrix of one expert's size, whole or by its sides. */
final class AdafactorBenches {
  private static final Squares SQUARES = new Squares(0.9, 0.1, 1e-30, 0.5);

  private AdafactorBenches() {}

  static Stream<KernelCase> cases() {
    return Stream.of(
        moving(
            "squaresInto",
            KernelCase::tokensHidden,
            s -> Setting.inF32(3 * s.tokensHidden()),
            bed -> {
              Array v = positive(bed, bed.setting().tokens(), bed.setting().hidden());
              Array g = values(bed);
              return to -> bed.backend().squaresInto(to, v, g, SQUARES);
            }),
        moving(
            "factoredSquaresInto",
            KernelCase::tokensHidden,
            s -> Setting.inF32(2 * s.tokensHidden()),
            bed -> {
              Array rows = positive(bed, bed.setting().tokens());
              Array columns = positive(bed, bed.setting().hidden());
              Array g = values(bed);
              return to -> bed.backend().factoredSquaresInto(to, rows, columns, g, SQUARES);
            }),
        moving(
            "moveInto",
            KernelCase::tokensHidden,
            s -> Setting.inF32(4 * s.tokensHidden()),
            bed -> {
              Array master = values(bed);
              Array v = positive(bed, bed.setting().tokens(), bed.setting().hidden());
              Array g = values(bed);
              Array sums = sums(bed);
              return to -> bed.backend().moveInto(master, v, g, sums, move(bed));
            }),
        moving(
            "factoredMoveInto",
            KernelCase::tokensHidden,
            s -> Setting.inF32(3 * s.tokensHidden()),
            bed -> {
              Array master = values(bed);
              Array rows = positive(bed, bed.setting().tokens());
              Array columns = positive(bed, bed.setting().hidden());
              Array g = values(bed);
              Array sums = sums(bed);
              return to ->
                  bed.backend().factoredMoveInto(master, rows, columns, g, sums, move(bed));
            }));
  }

  private static Array values(Bed bed) {
    return bed.values(DType.F32, bed.setting().tokens(), bed.setting().hidden());
  }

  private static Array positive(Bed bed, long... shape) {
    return bed.positive(DType.F32, shape);
  }

  private static Array sums(Bed bed) {
    double n = bed.setting().tokensHidden();
    return bed.backend().doubles(bed.arena(), DType.F64, new double[] {n, n}, 2);
  }

  private static Move move(Bed bed) {
    return new Move(1e-5, bed.setting().tokensHidden(), 1, true, 1e-3, 0.5);
  }
}
