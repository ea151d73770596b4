package io.moextend.backend.bench;

import static io.moextend.backend.bench.KernelCase.moving;

import io.moextend.array.Array;
import io.moextend.array.DType;
import java.util.stream.Stream;

/** What adapters do beside products: vectors mixed for each head, blocks of low rank. */
final class AdapterBenches {
  /** Columns of one expert. */
  private static final int RANK = 16;

  private AdapterBenches() {}

  static Stream<KernelCase> cases() {
    return Stream.of(vectors(), blocks(), columns()).flatMap(cases -> cases);
  }

  private static Stream<KernelCase> vectors() {
    return Stream.of(
        moving(
            "rescale",
            AdapterBenches::heads,
            s -> s.narrow(2 * s.tokensHidden()) + shares(s),
            bed -> {
              Mixture m = Mixture.of(bed);
              return to -> bed.backend().rescale(to, m.x, m.p, m.scaling);
            }),
        moving(
            "rescaleBackward",
            AdapterBenches::heads,
            s -> s.narrow(3 * s.tokensHidden()) + 2 * shares(s),
            bed -> {
              Mixture m = Mixture.of(bed);
              Array d = bed.values(m.x.shape());
              return to -> bed.backend().rescaleBackward(to, d, m.x, m.p, m.scaling);
            }));
  }

  private record Mixture(Array x, Array p, Array scaling) {
    static Mixture of(Bed bed) {
      Setting s = bed.setting();
      return new Mixture(
          bed.values(s.tokens(), s.hidden()),
          bed.positive(DType.F32, (long) s.tokens() * headCount(s), s.experts()),
          bed.values(headCount(s), s.experts(), s.headSize()));
    }
  }

  private static Stream<KernelCase> blocks() {
    return Stream.of(
        moving(
            "scaleBlocks",
            AdapterBenches::ranks,
            s -> s.narrow(2 * ranked(s)) + Setting.inF32((long) s.tokens() * s.experts()),
            bed -> {
              Setting s = bed.setting();
              Array h = bed.values(s.tokens(), (long) s.experts() * RANK);
              Array p = bed.positive(DType.F32, s.tokens(), s.experts());
              return to -> bed.backend().scaleBlocks(to, h, p);
            }),
        moving(
            "scaleBlocksBackward",
            AdapterBenches::ranks,
            s -> s.narrow(3 * ranked(s)) + Setting.inF32(2L * s.tokens() * s.experts()),
            bed -> {
              Setting s = bed.setting();
              Array h = bed.values(s.tokens(), (long) s.experts() * RANK);
              Array d = bed.values(s.tokens(), (long) s.experts() * RANK);
              Array p = bed.positive(DType.F32, s.tokens(), s.experts());
              return to -> bed.backend().scaleBlocksBackward(to, d, h, p);
            }));
  }

  private static Stream<KernelCase> columns() {
    return Stream.of(
        moving(
            "addColumnsInto",
            s -> "[%d, 2x%d]".formatted(s.tokens(), s.hidden()),
            s -> s.narrow(3 * s.tokensHidden()),
            bed -> {
              Setting s = bed.setting();
              Array y = bed.values(s.tokens(), 2L * s.hidden());
              Array delta = bed.values(s.tokens(), s.hidden());
              return to -> bed.backend().addColumnsInto(y, s.hidden(), delta);
            }));
  }

  private static int headCount(Setting s) {
    return s.hidden() / s.headSize();
  }

  /** Bytes of the shares of all heads of all rows. */
  private static long shares(Setting s) {
    return Setting.inF32((long) s.tokens() * headCount(s) * s.experts());
  }

  private static long ranked(Setting s) {
    return (long) s.tokens() * s.experts() * RANK;
  }

  private static String heads(Setting s) {
    return "[%d, %dx%d], %d vectors".formatted(s.tokens(), headCount(s), s.headSize(), s.experts());
  }

  private static String ranks(Setting s) {
    return "[%d, %dx%d]".formatted(s.tokens(), s.experts(), RANK);
  }
}
