package io.moextend.backend.bench;

import static io.moextend.backend.bench.KernelCase.computing;

import io.moextend.array.Array;
import io.moextend.backend.AttentionKernels.Attention;
import java.util.stream.Stream;

final class AttentionBenches {
  private AttentionBenches() {}

  static Stream<KernelCase> cases() {
    return Stream.of(
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
