package io.moextend.backend.bench;

import static io.moextend.backend.bench.KernelCase.moving;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.Activation;
import io.moextend.backend.Backend;
import java.util.Arrays;
import java.util.stream.Stream;

final class ElementBenches {
  private ElementBenches() {}

  /** A kernel of one or two inputs of one shape. */
  @FunctionalInterface
  private interface Kernel {
    Array run(Backend backend, Arena to, Array a, Array b);
  }

  static Stream<KernelCase> cases() {
    return Stream.of(
            sums(), Arrays.stream(Activation.values()).flatMap(ElementBenches::activations), rows())
        .flatMap(cases -> cases);
  }

  private static Stream<KernelCase> sums() {
    return Stream.of(
        two("add", (b, to, x, y) -> b.add(to, x, y)),
        two("addScaled", (b, to, x, y) -> b.addScaled(to, x, y, 0.3)),
        moving(
            "addScaled.wide",
            KernelCase::tokensHidden,
            s -> s.narrow(2 * s.tokensHidden()) + Setting.inF32(s.tokensHidden()),
            bed -> {
              Array x = bed.values(bed.setting().tokens(), bed.setting().hidden());
              Array y = bed.values(DType.F32, bed.setting().tokens(), bed.setting().hidden());
              return to -> bed.backend().addScaled(to, x, y, 0.3);
            }),
        two("multiply", (b, to, x, y) -> b.multiply(to, x, y)),
        one("scale", (b, to, x, same) -> b.scale(to, x, 0.3)),
        cast("cast.toWide", true),
        cast("cast.fromWide", false));
  }

  /** Between the type under test and F32; where that is F32, to and from BF16. */
  private static KernelCase cast(String name, boolean toWide) {
    return moving(
        name,
        KernelCase::tokensHidden,
        s -> 6 * s.tokensHidden(),
        bed -> {
          DType from = toWide ? DType.BF16 : DType.F32;
          DType other = toWide ? DType.F32 : DType.BF16;
          Array x = bed.values(from, bed.setting().tokens(), bed.setting().hidden());
          return to -> bed.backend().cast(to, x, other);
        });
  }

  private static Stream<KernelCase> activations(Activation kind) {
    return Stream.of(
        one("activation." + kind, (b, to, x, same) -> b.activation(to, kind, x)),
        two("activationBackward." + kind, (b, to, x, d) -> b.activationBackward(to, kind, d, x)),
        moving(
            "gated." + kind,
            s -> "[%d, 2x%d]".formatted(s.wide(), s.intermediate()),
            s -> s.narrow(3L * s.wide() * s.intermediate()),
            bed -> {
              Array x = gates(bed);
              return to -> bed.backend().gated(to, kind, x);
            }),
        moving(
            "gatedBackward." + kind,
            s -> "[%d, 2x%d]".formatted(s.wide(), s.intermediate()),
            s -> s.narrow(5L * s.wide() * s.intermediate()),
            bed -> {
              Array x = gates(bed);
              Array d = bed.values(bed.setting().wide(), bed.setting().intermediate());
              return to -> bed.backend().gatedBackward(to, kind, d, x);
            }),
        moving(
            "gatedBackwardInto." + kind,
            s -> "[%d, 2x%d], in place".formatted(s.wide(), s.intermediate()),
            s -> s.narrow(5L * s.wide() * s.intermediate()),
            bed -> {
              Array x = gates(bed);
              Array d = bed.values(bed.setting().wide(), bed.setting().intermediate());
              return to -> bed.backend().gatedBackwardInto(x, kind, d, x);
            }));
  }

  private static Array gates(Bed bed) {
    return bed.values(bed.setting().wide(), 2L * bed.setting().intermediate());
  }

  private static Stream<KernelCase> rows() {
    return Stream.of(
        moving(
            "addRepeated",
            KernelCase::tokensHidden,
            s -> s.narrow(2 * s.tokensHidden()),
            bed -> {
              Setting s = bed.setting();
              Array x = bed.values(s.tokens(), s.hidden());
              Array rows = bed.values(s.sequence(), s.hidden());
              return to -> bed.backend().addRepeated(to, x, rows);
            }),
        moving(
            "sumRepeated",
            KernelCase::tokensHidden,
            s -> s.narrow(s.tokensHidden()),
            bed -> {
              Setting s = bed.setting();
              Array x = bed.values(s.tokens(), s.hidden());
              return to -> bed.backend().sumRepeated(to, x, s.sequence());
            }),
        moving(
            "scaleColumns",
            KernelCase::tokensHidden,
            s -> s.narrow(2 * s.tokensHidden()),
            bed -> {
              Array x = bed.values(bed.setting().tokens(), bed.setting().hidden());
              Array scale = bed.values(bed.setting().hidden());
              return to -> bed.backend().scaleColumns(to, x, scale);
            }),
        moving(
            "scaleColumnsGradient",
            KernelCase::tokensHidden,
            s -> s.narrow(2 * s.tokensHidden()),
            bed -> {
              Array x = bed.values(bed.setting().tokens(), bed.setting().hidden());
              Array d = bed.values(bed.setting().tokens(), bed.setting().hidden());
              return to -> bed.backend().scaleColumnsGradient(to, d, x);
            }),
        moving(
            "sumRows",
            KernelCase::tokensHidden,
            s -> s.narrow(s.tokensHidden()),
            bed -> {
              Array x = bed.values(bed.setting().tokens(), bed.setting().hidden());
              return to -> bed.backend().sumRows(to, x);
            }));
  }

  private static KernelCase one(String name, Kernel kernel) {
    return moving(
        name,
        KernelCase::tokensHidden,
        s -> s.narrow(2 * s.tokensHidden()),
        bed -> {
          Array x = bed.values(bed.setting().tokens(), bed.setting().hidden());
          return to -> kernel.run(bed.backend(), to, x, x);
        });
  }

  private static KernelCase two(String name, Kernel kernel) {
    return moving(
        name,
        KernelCase::tokensHidden,
        s -> s.narrow(3 * s.tokensHidden()),
        bed -> {
          Array x = bed.values(bed.setting().tokens(), bed.setting().hidden());
          Array y = bed.values(bed.setting().tokens(), bed.setting().hidden());
          return to -> kernel.run(bed.backend(), to, x, y);
        });
  }
}
