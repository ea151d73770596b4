package io.moextend.backend.bench;

import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.cpu.Triad;
import java.util.stream.Stream;

/** The speed of the memory, which the others are measured against. */
final class TriadBenches {
  static final String TRIAD = "triad";

  private TriadBenches() {}

  static Stream<KernelCase> cases() {
    return Stream.of(
        KernelCase.moving(
            TRIAD,
            s -> "[%d]".formatted(length(s)),
            s -> Setting.inF32(3 * length(s)),
            bed -> {
              long n = length(bed.setting());
              Array a = bed.values(DType.F32, n);
              Array b = bed.values(DType.F32, n);
              Array c = bed.values(DType.F32, n);
              return to -> Triad.run(bed.backend(), a, b, c, 0.5f);
            }));
  }

  private static long length(Setting s) {
    return (long) s.tokens() * s.hidden();
  }
}
