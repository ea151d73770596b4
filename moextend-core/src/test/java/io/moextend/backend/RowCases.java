package io.moextend.backend;

import io.moextend.array.Array;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;

final class RowCases {
  private RowCases() {}

  static Stream<Case> cases() {
    var cases = new ArrayList<Case>();
    cases.add(gather(11, 5, 7));
    cases.add(gather(1, 1, 1));
    cases.add(gather(40, 33, 65));
    cases.add(gather(6, 0, 4).ofRows(0));
    cases.add(gather(3, 200, 16)); // each row many times
    cases.add(mix(11, 5, 4, 7));
    cases.add(mix(1, 1, 1, 1));
    cases.add(mix(40, 33, 9, 65));
    cases.add(mix(30, 2, 30, 32));
    cases.add(mix(6, 0, 3, 4).ofRows(0));
    cases.add(replace(9, new int[] {3}, 5));
    cases.add(replace(9, new int[] {8, 0, 4, 2}, 33));
    cases.add(replace(9, new int[] {}, 5));
    cases.add(replace(1, new int[] {0}, 1));
    cases.add(join(new int[] {1, 1}, 1));
    cases.add(join(new int[] {5, 0, 33, 16}, 7));
    cases.add(join(new int[] {4, 3}, 0));
    cases.add(patches(1, 3, 4, 4, 2));
    cases.add(patches(2, 3, 28, 14, 7));
    cases.add(patches(2, 1, 9, 12, 3));
    cases.add(patches(0, 3, 8, 8, 4));
    cases.add(rotate(6, 0, 2, 8, 20));
    cases.add(rotate(33, 5, 3, 10, 60));
    cases.add(rotate(1, 0, 1, 2, 2));
    cases.add(rotate(0, 0, 2, 8, 16).ofRows(0));
    cases.add(rotate(5, 32, 2, 32, 100));
    cases.add(rotate(5, 64, 3, 64, 256));
    cases.add(rotate(3, 0, 2, 96, 200));
    cases.add(rotate(3, 0, 2, 128, 256));
    return cases.stream();
  }

  private static Case gather(int table, int rows, int width) {
    return Case.of(
        "gatherRows, scatterRows",
        "%d of [%d, %d]".formatted(rows, table, width),
        t -> {
          Array from = t.values(table, width);
          Array wide = t.wideValues(table, width);
          Array at = t.ints(table, rows);
          Array d = t.values(rows, width);
          Backend b = t.backend();
          t.result("rows", b.gatherRows(t.arena(), from, at), t.compute(), rows, width);
          t.result("wide rows", b.gatherRows(t.arena(), wide, at), t.wide(), rows, width);
          t.result("dTable", b.scatterRows(t.arena(), d, at, table), t.wide(), table, width);
        });
  }

  private static Case mix(int table, int rows, int each, int width) {
    return Case.of(
        "mixRows",
        "%d of %d each of [%d, %d]".formatted(rows, each, table, width),
        t -> {
          Array from = t.values(table, width);
          Array at = t.ints(table, rows, each);
          Array weights = t.wideValues(rows, each);
          Array mixed = t.backend().mixRows(t.arena(), from, at, weights);
          t.loosely("mixed", mixed, t.compute(), 1, rows, width);
        });
  }

  private static Case replace(int tokens, int[] rows, int width) {
    return Case.of(
        "replaceRows, clearRows",
        "%d of [%d, %d]".formatted(rows.length, tokens, width),
        t -> {
          Array x = t.values(tokens, width);
          Array at = t.intsOf(rows, rows.length);
          Array values = t.values(rows.length, width);
          Backend b = t.backend();
          t.result("replaced", b.replaceRows(t.arena(), x, at, values), t.compute(), tokens, width);
          t.result("cleared", b.clearRows(t.arena(), x, at), t.compute(), tokens, width);
        });
  }

  private static Case join(int[] sizes, int other) {
    return Case.of(
        "columns, joinColumns, joinRows",
        "of %d parts by %d".formatted(sizes.length, other),
        t -> {
          List<Array> wide = new ArrayList<>();
          List<Array> tall = new ArrayList<>();
          int sum = 0;
          for (int size : sizes) {
            wide.add(t.values(other, size));
            tall.add(t.values(size, other));
            sum += size;
          }
          Backend b = t.backend();
          Array joined = b.joinColumns(t.arena(), wide);
          t.result("side by side", joined, t.compute(), other, sum);
          t.result("below", b.joinRows(t.arena(), tall), t.compute(), sum, other);
          int from = sizes[0];
          t.result(
              "columns", b.columns(t.arena(), joined, from, sum), t.compute(), other, sum - from);
          t.result("no columns", b.columns(t.arena(), joined, from, from), t.compute(), other, 0);
        });
  }

  private static Case patches(int images, int channels, int height, int width, int size) {
    return Case.of(
        "patches",
        "of %d in [%d, %d, %d, %d]".formatted(size, images, channels, height, width),
        t -> {
          Array pixels = t.values(images, channels, height, width);
          long rows = (long) images * (height / size) * (width / size);
          t.result(
              "rows",
              t.backend().patches(t.arena(), pixels, size),
              t.compute(),
              rows,
              (long) channels * size * size);
        });
  }

  private static Case rotate(int rows, int from, int heads, int headSize, int width) {
    return Case.of(
        "rotate",
        "%d heads of %d from column %d of [%d, %d]".formatted(heads, headSize, from, rows, width),
        t -> {
          int positions = 12;
          double[] angles = t.normal(positions, headSize / 2);
          double[] cos = Arrays.stream(angles).map(Math::cos).toArray();
          double[] sin = Arrays.stream(angles).map(Math::sin).toArray();
          Array x = t.values(rows, width);
          Array at = t.ints(positions, rows);
          Array c = t.wideValuesOf(cos, positions, headSize / 2);
          Array s = t.wideValuesOf(sin, positions, headSize / 2);
          Backend b = t.backend();
          long out = (long) heads * headSize;
          t.result(
              "on", b.rotate(t.arena(), x, from, heads, at, c, s, false), t.compute(), rows, out);
          t.result(
              "back", b.rotate(t.arena(), x, from, heads, at, c, s, true), t.compute(), rows, out);
        });
  }
}
