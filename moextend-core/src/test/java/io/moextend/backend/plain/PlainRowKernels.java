package io.moextend.backend.plain;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.backend.RowKernels;
import java.util.List;

interface PlainRowKernels extends RowKernels {
  private static void copyRow(PlainArray from, int row, PlainArray to, int at) {
    for (int c = 0; c < from.width(); c++) {
      to.set(at, c, from.get(row, c));
    }
  }

  private static PlainArray zeros(Arena to, Array like, long... shape) {
    PlainArray zeros = PlainArray.of(to.allocate(like.dtype(), shape));
    for (int i = 0; i < zeros.size(); i++) {
      zeros.set(i, 0);
    }
    return zeros;
  }

  @Override
  default Array gatherRows(Arena to, Array table, Array rows) {
    PlainArray out = zeros(to, table, rows.size(), table.dim(1));
    for (int r = 0; r < rows.size(); r++) {
      copyRow(PlainArray.of(table), PlainArray.of(rows).integer(r), out, r);
    }
    return out;
  }

  @Override
  default Array scatterRows(Arena to, Array dOut, Array rows, long tableRows) {
    PlainArray d = PlainArray.of(dOut);
    PlainArray out = zeros(to, dOut, tableRows, dOut.dim(1));
    for (int r = 0; r < d.rows(); r++) {
      for (int c = 0; c < d.width(); c++) {
        out.add(PlainArray.of(rows).integer(r), c, d.get(r, c));
      }
    }
    return out;
  }

  @Override
  default Array mixRows(Arena to, Array table, Array rows, Array weights) {
    PlainArray from = PlainArray.of(table);
    PlainArray out = zeros(to, table, rows.dim(0), table.dim(1));
    int each = (int) rows.dim(1);
    for (int i = 0; i < rows.size(); i++) {
      for (int c = 0; c < out.width(); c++) {
        double weight = PlainArray.of(weights).get(i);
        out.add(i / each, c, weight * from.get(PlainArray.of(rows).integer(i), c));
      }
    }
    return out;
  }

  @Override
  default Array replaceRows(Arena to, Array x, Array rows, Array values) {
    PlainArray out = PlainArray.of(joinRows(to, List.of(x)));
    for (int r = 0; r < rows.size(); r++) {
      copyRow(PlainArray.of(values), r, out, PlainArray.of(rows).integer(r));
    }
    return out;
  }

  @Override
  default Array clearRows(Arena to, Array x, Array rows) {
    return replaceRows(to, x, rows, zeros(to, x, rows.size(), x.dim(1)));
  }

  @Override
  default Array columns(Arena to, Array x, long from, long until) {
    PlainArray out = zeros(to, x, x.dim(0), until - from);
    for (int r = 0; r < out.rows(); r++) {
      for (int c = 0; c < out.width(); c++) {
        out.set(r, c, PlainArray.of(x).get(r, (int) from + c));
      }
    }
    return out;
  }

  @Override
  default Array joinColumns(Arena to, List<Array> parts) {
    long width = parts.stream().mapToLong(p -> p.dim(1)).sum();
    PlainArray out = zeros(to, parts.getFirst(), parts.getFirst().dim(0), width);
    int at = 0;
    for (Array part : parts) {
      PlainArray p = PlainArray.of(part);
      for (int r = 0; r < p.rows(); r++) {
        for (int c = 0; c < p.width(); c++) {
          out.set(r, at + c, p.get(r, c));
        }
      }
      at += (int) part.dim(1);
    }
    return out;
  }

  @Override
  default Array joinRows(Arena to, List<Array> parts) {
    long rows = parts.stream().mapToLong(p -> p.dim(0)).sum();
    PlainArray out = zeros(to, parts.getFirst(), rows, parts.getFirst().dim(1));
    int at = 0;
    for (Array part : parts) {
      for (int r = 0; r < part.dim(0); r++) {
        copyRow(PlainArray.of(part), r, out, at++);
      }
    }
    return out;
  }

  @Override
  default Array patches(Arena to, Array pixels, int size) {
    int channels = (int) pixels.dim(1);
    int height = (int) pixels.dim(2);
    int width = (int) pixels.dim(3);
    int down = height / size;
    int across = width / size;
    PlainArray out =
        zeros(to, pixels, pixels.dim(0) * down * across, (long) channels * size * size);
    for (int row = 0; row < out.rows(); row++) {
      int image = row / (down * across);
      int top = row / across % down * size;
      int left = row % across * size;
      for (int i = 0; i < out.width(); i++) {
        int channel = i / (size * size);
        int y = top + i / size % size;
        int x = left + i % size;
        int at = ((image * channels + channel) * height + y) * width + x;
        out.set(row, i, PlainArray.of(pixels).get(at));
      }
    }
    return out;
  }

  @Override
  default Array rotate(
      Arena to,
      Array x,
      long from,
      int heads,
      Array positions,
      Array cos,
      Array sin,
      boolean inverse) {
    int half = (int) cos.dim(1);
    PlainArray in = PlainArray.of(x);
    PlainArray out = zeros(to, x, x.dim(0), 2L * half * heads);
    for (int r = 0; r < in.rows(); r++) {
      int position = PlainArray.of(positions).integer(r);
      for (int h = 0; h < heads; h++) {
        for (int i = 0; i < half; i++) {
          double c = PlainArray.of(cos).get(position, i);
          double s = PlainArray.of(sin).get(position, i) * (inverse ? -1 : 1);
          int first = h * 2 * half + i;
          double a = in.get(r, (int) from + first);
          double b = in.get(r, (int) from + first + half);
          out.set(r, first, a * c - b * s);
          out.set(r, first + half, b * c + a * s);
        }
      }
    }
    return out;
  }
}
