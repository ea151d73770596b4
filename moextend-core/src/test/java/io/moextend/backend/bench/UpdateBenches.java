package io.moextend.backend.bench;

import static io.moextend.backend.bench.KernelCase.moving;

import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.UpdateKernels.AdamStep;
import java.util.stream.Stream;

/** Kernels over flat arrays: as long as one expert's weights. */
final class UpdateBenches {
  private UpdateBenches() {}

  static Stream<KernelCase> cases() {
    return Stream.of(
        moving(
            "accumulateInto",
            UpdateBenches::flat,
            s -> Setting.inF32(2 * length(s)) + s.narrow(length(s)),
            bed -> {
              Array sum = bed.values(DType.F32, length(bed.setting()));
              Array x = bed.values(length(bed.setting()));
              return to -> bed.backend().accumulateInto(sum, x, 0.5);
            }),
        moving(
            "fillInto.zero",
            UpdateBenches::flat,
            s -> s.narrow(length(s)),
            bed -> {
              Array x = bed.values(length(bed.setting()));
              return to -> bed.backend().fillInto(x, 0);
            }),
        moving(
            "fillInto.one",
            UpdateBenches::flat,
            s -> s.narrow(length(s)),
            bed -> {
              Array x = bed.values(length(bed.setting()));
              return to -> bed.backend().fillInto(x, 1);
            }),
        moving(
            "copyInto",
            UpdateBenches::flat,
            s -> s.narrow(2 * length(s)),
            bed -> {
              Array x = bed.values(length(bed.setting()));
              Array y = bed.values(length(bed.setting()));
              return to -> bed.backend().copyInto(x, y);
            }),
        moving(
            "copyInto.rounded",
            UpdateBenches::flat,
            s -> 6 * length(s),
            bed -> {
              Array x = bed.values(DType.BF16, length(bed.setting()));
              Array y = bed.values(DType.F32, length(bed.setting()));
              return to -> bed.backend().copyInto(x, y);
            }),
        moving(
            "sumOfSquares",
            UpdateBenches::flat,
            s -> s.narrow(length(s)),
            bed -> {
              Array x = bed.values(length(bed.setting()));
              return to -> bed.backend().sumOfSquares(to, x);
            }),
        moving(
            "adamInto",
            UpdateBenches::flat,
            s -> Setting.inF32(7 * length(s)),
            bed -> {
              Array master = bed.values(DType.F32, length(bed.setting()));
              Array m = bed.values(DType.F32, length(bed.setting()));
              Array v = bed.positive(DType.F32, length(bed.setting()));
              Array g = bed.values(DType.F32, length(bed.setting()));
              var how = new AdamStep(3, 1e-5, 0.9, 0.999, 1e-8, 0.01, 0.5);
              return to -> bed.backend().adamInto(master, m, v, g, how);
            }));
  }

  private static long length(Setting s) {
    return (long) s.tokens() * s.hidden();
  }

  private static String flat(Setting s) {
    return "[%d]".formatted(length(s));
  }
}
