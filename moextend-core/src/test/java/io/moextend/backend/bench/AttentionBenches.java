package io.moextend.backend.bench;

import static io.moextend.backend.bench.KernelCase.computing;
import static io.moextend.backend.bench.KernelCase.moving;

import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.AttentionKernels.Attention;
import java.util.stream.Stream;

final class AttentionBenches {
  private AttentionBenches() {}

  static Stream<KernelCase> cases() {
    return Stream.of(
        moving(
            "biasByDistance",
            s -> "%d heads of [%d, %2$d]".formatted(s.queryHeads(), s.sequence()),
            s -> Setting.inF32((long) s.queryHeads() * s.sequence() * s.sequence()),
            bed -> {
              int n = bed.setting().sequence();
              Array row = bed.values(DType.F32, bed.setting().queryHeads(), 2L * n - 1);
              return to -> bed.backend().biasByDistance(to, row, n, n);
            }),
        computing(
            "attend",
            AttentionBenches::heads,
            s -> 2 * product(s),
            bed -> {
              Inputs i = Inputs.of(bed);
              return to -> bed.backend().attend(to, i.shape, i.q, i.k, i.v, null, null);
            }),
        computing(
            "attendBackward",
            AttentionBenches::heads,
            s -> 5 * product(s),
            bed -> {
              Inputs i = Inputs.of(bed);
              var out = bed.backend().attend(bed.arena(), i.shape, i.q, i.k, i.v, null, null);
              return to ->
                  bed.backend()
                      .attendBackward(to, i.shape, i.q, i.q, i.k, i.v, out, null, null, false);
            }));
  }

  private record Inputs(Attention shape, Array q, Array k, Array v) {
    static Inputs of(Bed bed) {
      Setting s = bed.setting();
      long keyWidth = (long) s.keyHeads() * s.headSize();
      return new Inputs(
          new Attention(
              s.batch(),
              s.sequence(),
              s.sequence(),
              s.queryHeads(),
              s.keyHeads(),
              s.headSize(),
              1 / Math.sqrt(s.headSize()),
              true,
              0),
          bed.values(s.wide(), (long) s.queryHeads() * s.headSize()),
          bed.values(s.wide(), keyWidth),
          bed.values(s.wide(), keyWidth));
    }
  }

  /** Operations of queries times keys, of which a causal one needs half. */
  private static long product(Setting s) {
    return (long) s.wide() * s.sequence() * s.queryHeads() * s.headSize();
  }

  private static String heads(Setting s) {
    return "%d of %d, %d/%d heads of %d, causal"
        .formatted(s.batch(), s.sequence(), s.queryHeads(), s.keyHeads(), s.headSize());
  }
}
