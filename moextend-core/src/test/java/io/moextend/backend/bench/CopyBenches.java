package io.moextend.backend.bench;

import static io.moextend.backend.bench.KernelCase.moving;

import io.moextend.array.Array;
import io.moextend.array.DType;
import java.lang.foreign.MemorySegment;
import java.util.stream.Stream;

/** Between Java arrays and the device. */
final class CopyBenches {
  private CopyBenches() {}

  static Stream<KernelCase> cases() {
    return Stream.concat(in(), out());
  }

  private static Stream<KernelCase> in() {
    return Stream.of(
        moving(
            "copyIn",
            KernelCase::tokensHidden,
            s -> s.narrow(2 * s.tokensHidden()),
            bed -> {
              Array x = bed.values(bed.setting().tokensHidden());
              MemorySegment host = MemorySegment.ofArray(new byte[Math.toIntExact(x.bytes())]);
              return to -> bed.backend().copyIn(x, host);
            }),
        moving(
            "ints",
            KernelCase::tokensHidden,
            s -> Setting.inF32(2 * s.tokensHidden()),
            bed -> {
              int[] values = new int[length(bed)];
              return to -> bed.backend().ints(to, values, values.length);
            }),
        moving(
            "bytes",
            KernelCase::tokensHidden,
            s -> 2 * s.tokensHidden(),
            bed -> {
              byte[] values = new byte[length(bed)];
              return to -> bed.backend().bytes(to, values, values.length);
            }),
        moving(
            "floats",
            KernelCase::tokensHidden,
            s -> Setting.inF32(s.tokensHidden()) + s.narrow(s.tokensHidden()),
            bed -> {
              float[] values = new float[length(bed)];
              DType dtype = bed.setting().dtype();
              return to -> bed.backend().floats(to, dtype, values, values.length);
            }),
        moving(
            "doubles",
            KernelCase::tokensHidden,
            s -> 8 * s.tokensHidden() + s.narrow(s.tokensHidden()),
            bed -> {
              double[] values = new double[length(bed)];
              DType dtype = bed.setting().dtype();
              return to -> bed.backend().doubles(to, dtype, values, values.length);
            }));
  }

  private static Stream<KernelCase> out() {
    return Stream.of(
        moving(
            "copyOut",
            KernelCase::tokensHidden,
            s -> s.narrow(2 * s.tokensHidden()),
            bed -> {
              Array x = bed.values(bed.setting().tokensHidden());
              MemorySegment host = MemorySegment.ofArray(new byte[Math.toIntExact(x.bytes())]);
              return to -> bed.backend().copyOut(x, host);
            }),
        moving(
            "toInts",
            KernelCase::tokensHidden,
            s -> Setting.inF32(2 * s.tokensHidden()),
            bed -> {
              Array x = bed.ints(100, length(bed));
              return to -> bed.backend().toInts(x);
            }),
        moving(
            "toBytes",
            KernelCase::tokensHidden,
            s -> s.narrow(2 * s.tokensHidden()),
            bed -> {
              Array x = bed.values(length(bed));
              return to -> bed.backend().toBytes(x);
            }),
        moving(
            "toFloats",
            KernelCase::tokensHidden,
            s -> Setting.inF32(s.tokensHidden()) + s.narrow(s.tokensHidden()),
            bed -> {
              Array x = bed.values(length(bed));
              return to -> bed.backend().toFloats(to, x);
            }),
        moving(
            "toDoubles",
            KernelCase::tokensHidden,
            s -> 16 * s.tokensHidden(),
            bed -> {
              Array x =
                  bed.backend()
                      .doubles(bed.arena(), DType.F64, new double[length(bed)], length(bed));
              return to -> bed.backend().toDoubles(x);
            }),
        moving(
            "toDouble",
            s -> "[1]",
            s -> 8,
            bed -> {
              Array x = bed.values(DType.F32, 1);
              return to -> bed.backend().toDouble(x);
            }));
  }

  private static int length(Bed bed) {
    return Math.toIntExact(bed.setting().tokensHidden());
  }
}
