package io.moextend.backend.bench;

import static io.moextend.backend.bench.KernelCase.moving;

import io.moextend.array.Array;
import io.moextend.array.DType;
import java.util.List;
import java.util.stream.Stream;

final class RowBenches {
  private static final int PATCH = 14;
  private static final int IMAGE = 336;

  private RowBenches() {}

  static Stream<KernelCase> cases() {
    return Stream.concat(rows(), columns());
  }

  private static Stream<KernelCase> rows() {
    return Stream.of(
        moving(
            "gatherRows",
            KernelCase::tokensHidden,
            s -> s.narrow(2 * s.tokensHidden()),
            bed -> {
              Setting s = bed.setting();
              Array table = bed.values(s.vocabulary(), s.hidden());
              Array rows = bed.ints(s.vocabulary(), s.tokens());
              return to -> bed.backend().gatherRows(to, table, rows);
            }),
        moving(
            "scatterRows",
            KernelCase::tokensHidden,
            s -> s.narrow(s.tokensHidden()) + Setting.inF32((long) s.vocabulary() * s.hidden()),
            bed -> {
              Setting s = bed.setting();
              Array d = bed.values(s.tokens(), s.hidden());
              Array rows = bed.ints(s.vocabulary(), s.tokens());
              return to -> bed.backend().scatterRows(to, d, rows, s.vocabulary());
            }),
        moving(
            "replaceRows",
            KernelCase::tokensHidden,
            s -> s.narrow(2 * s.tokensHidden() + 2L * (s.tokens() / 8) * s.hidden()),
            bed -> {
              Setting s = bed.setting();
              Array x = bed.values(s.tokens(), s.hidden());
              Array values = bed.values(s.tokens() / 8, s.hidden());
              Array rows = bed.shuffled(s.tokens()).slice(0, s.tokens() / 8);
              return to -> bed.backend().replaceRows(to, x, rows, values);
            }),
        moving(
            "clearRows",
            KernelCase::tokensHidden,
            s -> s.narrow(2 * s.tokensHidden() + (long) (s.tokens() / 8) * s.hidden()),
            bed -> {
              Setting s = bed.setting();
              Array x = bed.values(s.tokens(), s.hidden());
              Array rows = bed.shuffled(s.tokens()).slice(0, s.tokens() / 8);
              return to -> bed.backend().clearRows(to, x, rows);
            }),
        moving(
            "mixRows",
            KernelCase::tokensHidden,
            s -> s.narrow(2 * s.tokensHidden()),
            bed -> {
              Setting s = bed.setting();
              Array x = bed.values(s.tokens(), s.hidden());
              Array rows = bed.shuffled(s.tokens()).reshape(s.tokens() / 4, 4);
              Array weights = bed.values(DType.F32, s.tokens() / 4, 4);
              return to -> bed.backend().mixRows(to, x, rows, weights);
            }),
        moving(
            "joinRows",
            KernelCase::tokensHidden,
            s -> s.narrow(2 * s.tokensHidden()),
            bed -> {
              Setting s = bed.setting();
              Array top = bed.values(s.tokens() / 4, s.hidden());
              Array bottom = bed.values(s.tokens() - s.tokens() / 4, s.hidden());
              return to -> bed.backend().joinRows(to, List.of(top, bottom));
            }),
        moving(
            "patches",
            s -> "[%d, 3, %d, %d]".formatted(images(s), IMAGE, IMAGE),
            s -> s.narrow(2L * images(s) * 3 * IMAGE * IMAGE),
            bed -> {
              Array pixels = bed.values(images(bed.setting()), 3, IMAGE, IMAGE);
              return to -> bed.backend().patches(to, pixels, PATCH);
            }));
  }

  private static Stream<KernelCase> columns() {
    return Stream.of(
        moving(
            "columns",
            KernelCase::tokensHidden,
            s -> s.narrow(s.tokensHidden()),
            bed -> {
              Setting s = bed.setting();
              Array x = bed.values(s.tokens(), s.hidden());
              return to -> bed.backend().columns(to, x, s.hidden() / 2, s.hidden());
            }),
        moving(
            "joinColumns",
            KernelCase::tokensHidden,
            s -> s.narrow(2 * s.tokensHidden()),
            bed -> {
              Setting s = bed.setting();
              Array left = bed.values(s.tokens(), s.hidden() / 4);
              Array right = bed.values(s.tokens(), s.hidden() - s.hidden() / 4);
              return to -> bed.backend().joinColumns(to, List.of(left, right));
            }),
        moving(
            "rotate",
            s -> "[%d, %dx%d]".formatted(s.tokens(), s.queryHeads(), s.headSize()),
            s -> s.narrow(2L * s.tokens() * s.queryHeads() * s.headSize()),
            bed -> {
              Setting s = bed.setting();
              long heads = s.queryHeads() + 2L * s.keyHeads();
              Array x = bed.values(s.tokens(), heads * s.headSize());
              Array cos = bed.values(DType.F32, s.sequence(), s.headSize() / 2);
              Array sin = bed.values(DType.F32, s.sequence(), s.headSize() / 2);
              int[] at = new int[s.tokens()];
              for (int t = 0; t < at.length; t++) {
                at[t] = t % s.sequence();
              }
              Array positions = bed.backend().ints(bed.arena(), at, at.length);
              return to ->
                  bed.backend().rotate(to, x, 0, s.queryHeads(), positions, cos, sin, false);
            }));
  }

  private static int images(Setting s) {
    return Math.max(1, s.tokens() / 256);
  }
}
