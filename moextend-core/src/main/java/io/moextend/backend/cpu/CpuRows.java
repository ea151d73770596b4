package io.moextend.backend.cpu;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.array.ShapeException;
import io.moextend.backend.RowKernels;
import java.util.List;

/** Moving rows and columns, mostly as copies of bytes. */
interface CpuRows extends RowKernels {
  CpuDevice cpu();

  @Override
  default Array gatherRows(Arena to, Array table, Array rows) {
    CpuArray source = CpuArray.of(table);
    table.require("table", -1, -1);
    CpuArray index = index(rows, table.dim(0));
    long width = table.dim(1);
    CpuArray out = CpuDevice.allocate(to, table.dtype(), rows.size(), width);
    boolean word = width * table.dtype().bytes() == 4; // a bias by buckets: many such rows
    cpu()
        .forRows(
            rows.size(),
            width,
            word
                ? (lane, r) -> out.setInt(r, source.intAt(index.intAt(r)))
                : (lane, r) ->
                    CpuArray.copy(source, index.intAt(r) * width, out, r * width, width));
    return out;
  }

  /** Each row of the table is one worker's, which adds to it in the order of {@code rows}. */
  @Override
  default Array scatterRows(Arena to, Array dOut, Array rows, long tableRows) {
    CpuArray d = CpuArray.of(dOut);
    dOut.require("dOut", rows.size(), -1);
    CpuArray index = index(rows, tableRows);
    int width = CpuDevice.count(dOut.dim(1));
    CpuArray out = CpuDevice.allocate(to, DType.F32, tableRows, width);
    var order = new RowOrder(index, tableRows);
    cpu()
        .forRows(
            tableRows,
            width,
            (lane, t) -> {
              long at = (long) t * width;
              int n;
              for (int column = 0; column < width; column += n) {
                n = Operand.span(width - column);
                Operand sum = Operand.out(lane, 0, out, at + column, n);
                Bytes.clear(sum.address(), 4L * n);
                order.add(lane, sum, d, t, column, n);
                sum.finish(lane, out, at + column, n);
              }
            });
    return out;
  }

  @Override
  default Array mixRows(Arena to, Array table, Array rows, Array weights) {
    table.require("table", -1, -1);
    rows.require("rows", -1, -1);
    weights.require("weights", rows.shape());
    var mixture = new RowMixture(index(rows, table.dim(0)), CpuArray.of(weights, DType.F32));
    return mixture.of(cpu(), to, CpuArray.of(table));
  }

  @Override
  default Array replaceRows(Arena to, Array x, Array rows, Array values) {
    CpuArray out = copyOf(to, x);
    CpuArray index = index(rows, x.dim(0));
    values.require("values", rows.size(), x.dim(1));
    CpuArray source = CpuArray.of(values, x.dtype());
    long width = x.dim(1);
    cpu()
        .forRows(
            rows.size(),
            width,
            (lane, r) -> CpuArray.copy(source, r * width, out, index.intAt(r) * width, width));
    return out;
  }

  @Override
  default Array clearRows(Arena to, Array x, Array rows) {
    CpuArray out = copyOf(to, x);
    CpuArray index = index(rows, x.dim(0));
    long width = x.dim(1);
    cpu().forRows(rows.size(), width, (lane, r) -> out.clear(index.intAt(r) * width, width));
    return out;
  }

  @Override
  default Array columns(Arena to, Array x, long from, long until) {
    CpuArray a = CpuArray.of(x);
    x.require("x", -1, -1);
    if (from < 0 || until < from || until > x.dim(1)) {
      throw new ShapeException("columns [%d, %d) of %s".formatted(from, until, x));
    }
    long all = x.dim(1);
    long width = until - from;
    CpuArray out = CpuDevice.allocate(to, x.dtype(), x.dim(0), width);
    cpu()
        .forRows(
            x.dim(0), width, (lane, r) -> CpuArray.copy(a, r * all + from, out, r * width, width));
    return out;
  }

  @Override
  default Array joinColumns(Arena to, List<Array> parts) {
    Array first = parts.getFirst();
    List<CpuArray> sources = parts.stream().map(p -> CpuArray.of(p, first.dtype())).toList();
    parts.forEach(p -> p.require("a part", first.dim(0), -1));
    long width = parts.stream().mapToLong(p -> p.dim(1)).sum();
    CpuArray out = CpuDevice.allocate(to, first.dtype(), first.dim(0), width);
    cpu()
        .forRows(
            first.dim(0),
            width,
            (lane, r) -> {
              long at = r * width;
              for (CpuArray part : sources) {
                long n = part.dim(1);
                CpuArray.copy(part, r * n, out, at, n);
                at += n;
              }
            });
    return out;
  }

  @Override
  default Array joinRows(Arena to, List<Array> parts) {
    Array first = parts.getFirst();
    long width = first.dim(1);
    long rows = parts.stream().mapToLong(p -> p.dim(0)).sum();
    List<CpuArray> sources = parts.stream().map(p -> CpuArray.of(p, first.dtype())).toList();
    parts.forEach(p -> p.require("a part", -1, width));
    CpuArray out = CpuDevice.allocate(to, first.dtype(), rows, width);
    long at = 0;
    for (CpuArray part : sources) {
      CpuArray target = (CpuArray) out.slice(at, at + part.dim(0));
      cpu().convert(part, target);
      at += part.dim(0);
    }
    return out;
  }

  @Override
  default Array patches(Arena to, Array pixels, int size) {
    CpuArray a = CpuArray.of(pixels);
    pixels.require("pixels", -1, -1, -1, -1);
    long channels = pixels.dim(1);
    long height = pixels.dim(2);
    long width = pixels.dim(3);
    if (size < 1) {
      throw new ShapeException("patches of %d".formatted(size));
    }
    int across = CpuDevice.count(width / size);
    long down = height / size;
    long length = channels * size * size;
    int bytes = pixels.dtype().bytes();
    CpuArray out = CpuDevice.allocate(to, pixels.dtype(), pixels.dim(0) * down * across, length);
    // a row of patches at a time, so that lines of the image are read whole
    cpu()
        .forRows(
            pixels.dim(0) * down,
            across * length,
            (lane, band) -> {
              long image = band / down;
              long top = band % down * size;
              for (long line = 0; line < channels * size; line++) {
                long y = (image * channels + line / size) * height + top + line % size;
                long at = band * across * length + line * size;
                Bytes.scatter(
                    a.address(y * width), out.address(at), length * bytes, size * bytes, across);
              }
            });
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
    CpuArray a = CpuArray.of(x);
    CpuArray cosines = CpuArray.of(cos, DType.F32);
    CpuArray sines = CpuArray.of(sin, DType.F32);
    CpuArray position = index(positions, cos.dim(0));
    positions.require("positions", x.dim(0));
    sin.require("sin", cos.shape());
    int half = CpuDevice.count(cos.dim(1));
    int width = heads * 2 * half;
    long all = x.dim(1);
    if (from < 0 || from + width > all) {
      throw new ShapeException(
          "%d heads of %d from column %d on of %s".formatted(heads, 2 * half, from, x));
    }
    CpuArray out = CpuDevice.allocate(to, x.dtype(), x.dim(0), width);
    var turn = new HeadTurn(a, cosines, sines, heads, inverse ? -1 : 1, out);
    cpu()
        .forRows(
            x.dim(0),
            width,
            (lane, r) -> turn.row(lane, r * all + from, position.intAt(r), (long) r * width));
    return out;
  }

  private CpuArray copyOf(Arena to, Array x) {
    x.require("x", -1, -1);
    CpuArray out = CpuDevice.allocate(to, x.dtype(), x.shape());
    cpu().convert(CpuArray.of(x), out);
    return out;
  }

  /** Row numbers, checked before anything is read through them. */
  private static CpuArray index(Array rows, long limit) {
    CpuArray index = CpuArray.of(rows, DType.I32);
    for (long i = 0; i < rows.size(); i++) {
      int row = index.intAt(i);
      if (row < 0 || row >= limit) {
        throw new ShapeException("row number %d at %d, of %d rows".formatted(row, i, limit));
      }
    }
    return index;
  }
}
