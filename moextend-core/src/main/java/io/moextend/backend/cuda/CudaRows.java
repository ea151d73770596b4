package io.moextend.backend.cuda;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.array.ShapeException;
import io.moextend.backend.RowKernels;
import java.util.List;

/** Moving rows and columns; a row number out of range is a fault, told at the next wait. */
interface CudaRows extends RowKernels {
  CudaDevice cuda();

  private Launch rows(String name) {
    return cuda().launch(Source.ROWS, name);
  }

  @Override
  default Array gatherRows(Arena to, Array table, Array rows) {
    CudaArray from = CudaArray.of(table);
    table.require("table", -1, -1);
    CudaArray at = numbers(rows);
    var out = (CudaArray) to.allocate(table.dtype(), rows.dim(0), table.dim(1));
    if (out.size() > 0) {
      rows("gather_rows")
          .array(out)
          .array(from)
          .array(at)
          .size(rows.dim(0))
          .size(from.rowBytes())
          .size(table.dim(0))
          .pointer(cuda().fault())
          .run(Grid.rows(rows.dim(0)));
    }
    return out;
  }

  private static CudaArray numbers(Array rows) {
    rows.require("rows", -1);
    return CudaArray.of(rows, DType.I32);
  }

  @Override
  default Array scatterRows(Arena to, Array dOut, Array rows, long tableRows) {
    CudaArray d = CudaArray.number(dOut);
    CudaArray at = numbers(rows);
    dOut.require("dOut", rows.dim(0), -1);
    var out = (CudaArray) to.allocate(DType.F32, tableRows, dOut.dim(1));
    cuda().clear(out);
    if (d.size() > 0) {
      rows("scatter_rows_" + d.suffix())
          .array(out)
          .array(d)
          .array(at)
          .size(rows.dim(0))
          .size(d.dim(1))
          .size(tableRows)
          .pointer(cuda().fault())
          .run(Grid.rows(rows.dim(0)));
    }
    return out;
  }

  @Override
  default Array mixRows(Arena to, Array table, Array rows, Array weights) {
    CudaArray from = CudaArray.number(table);
    CudaArray at = CudaArray.of(rows, DType.I32);
    CudaArray shares = CudaArray.of(weights, DType.F32);
    table.require("table", -1, -1);
    rows.require("rows", -1, -1);
    weights.require("weights", rows.shape());
    var out = (CudaArray) to.allocate(table.dtype(), rows.dim(0), table.dim(1));
    if (out.size() > 0) {
      rows("mix_rows_" + from.suffix())
          .array(out)
          .array(from)
          .array(at)
          .array(shares)
          .size(rows.dim(0))
          .size(rows.dim(1))
          .size(table.dim(1))
          .size(table.dim(0))
          .pointer(cuda().fault())
          .run(Grid.rows(rows.dim(0)));
    }
    return out;
  }

  @Override
  default Array replaceRows(Arena to, Array x, Array rows, Array values) {
    CudaArray put = CudaArray.of(values, x.dtype());
    values.require("values", rows.dim(0), x.dim(1));
    CudaArray at = numbers(rows);
    CudaArray out = copyOf(to, x);
    if (put.size() > 0) {
      rows("put_rows")
          .array(out)
          .array(put)
          .array(at)
          .size(rows.dim(0))
          .size(out.rowBytes())
          .size(x.dim(0))
          .pointer(cuda().fault())
          .run(Grid.rows(rows.dim(0)));
    }
    return out;
  }

  @Override
  default Array clearRows(Arena to, Array x, Array rows) {
    CudaArray at = numbers(rows);
    CudaArray out = copyOf(to, x);
    if (rows.size() > 0 && out.size() > 0) {
      rows("clear_rows")
          .array(out)
          .array(at)
          .size(rows.dim(0))
          .size(out.rowBytes())
          .size(x.dim(0))
          .pointer(cuda().fault())
          .run(Grid.rows(rows.dim(0)));
    }
    return out;
  }

  private CudaArray copyOf(Arena to, Array x) {
    CudaArray source = CudaArray.of(x);
    x.require("x", -1, -1);
    var out = (CudaArray) to.allocate(x.dtype(), x.shape());
    cuda().copy(out, source);
    return out;
  }

  @Override
  default Array columns(Arena to, Array x, long from, long until) {
    CudaArray source = CudaArray.of(x);
    x.require("x", -1, -1);
    if (from < 0 || until < from || until > x.dim(1)) {
      throw new ShapeException("%s has no columns %d to %d".formatted(x, from, until));
    }
    var out = (CudaArray) to.allocate(x.dtype(), x.dim(0), until - from);
    if (out.size() > 0) {
      copyColumns(out.address(), out.rowBytes(), source.address(from), source.rowBytes(), out);
    }
    return out;
  }

  /**
   * @param part whose columns are copied: gives their number and the number of rows
   */
  private void copyColumns(long to, long toPitch, long from, long fromPitch, CudaArray part) {
    rows("copy_columns")
        .pointer(to)
        .size(toPitch)
        .pointer(from)
        .size(fromPitch)
        .size(part.rowBytes())
        .size(part.dim(0))
        .run(Grid.rows(part.dim(0)));
  }

  @Override
  default Array joinColumns(Arena to, List<Array> parts) {
    Array first = parts.getFirst();
    long width = parts.stream().mapToLong(p -> p.dim(1)).sum();
    var out = (CudaArray) to.allocate(first.dtype(), first.dim(0), width);
    long from = 0;
    for (Array part : parts) {
      CudaArray source = CudaArray.of(part, first.dtype());
      part.require("part", first.dim(0), -1);
      if (part.size() > 0) {
        copyColumns(out.address(from), out.rowBytes(), source.address(), source.rowBytes(), source);
      }
      from += part.dim(1);
    }
    return out;
  }

  @Override
  default Array joinRows(Arena to, List<Array> parts) {
    Array first = parts.getFirst();
    long rows = parts.stream().mapToLong(p -> p.dim(0)).sum();
    var out = (CudaArray) to.allocate(first.dtype(), rows, first.dim(1));
    long from = 0;
    for (Array part : parts) {
      CudaArray source = CudaArray.of(part, first.dtype());
      part.require("part", -1, first.dim(1));
      cuda().copy((CudaArray) out.slice(from, from + part.dim(0)), source);
      from += part.dim(0);
    }
    return out;
  }

  @Override
  default Array patches(Arena to, Array pixels, int size) {
    CudaArray source = CudaArray.of(pixels);
    pixels.require("pixels", -1, -1, -1, -1);
    if (size < 1 || pixels.dim(2) % size != 0 || pixels.dim(3) % size != 0) {
      throw new ShapeException("%s does not fall into patches of %d".formatted(pixels, size));
    }
    long rows = pixels.dim(0) * (pixels.dim(2) / size) * (pixels.dim(3) / size);
    var out = (CudaArray) to.allocate(pixels.dtype(), rows, pixels.dim(1) * size * size);
    if (out.size() > 0) {
      rows("patches_b" + pixels.dtype().bytes())
          .array(out)
          .array(source)
          .size(pixels.dim(0))
          .size(pixels.dim(1))
          .size(pixels.dim(2))
          .size(pixels.dim(3))
          .flag(size)
          .run(Grid.elements(out.size()));
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
    CudaArray source = CudaArray.number(x);
    CudaArray at = CudaArray.of(positions, DType.I32);
    CudaArray c = CudaArray.of(cos, DType.F32);
    CudaArray s = CudaArray.of(sin, DType.F32);
    x.require("x", positions.dim(0), -1);
    sin.require("sin", cos.shape());
    long half = cos.dim(1);
    long width = 2 * half * heads;
    if (from < 0 || from + width > x.dim(1)) {
      throw new ShapeException(
          "%s has no %d heads of %d from column %d".formatted(x, heads, 2 * half, from));
    }
    var out = (CudaArray) to.allocate(x.dtype(), x.dim(0), width);
    if (out.size() > 0) {
      rows("rotate_" + source.suffix())
          .array(out)
          .array(source)
          .array(at)
          .array(c)
          .array(s)
          .size(x.dim(0))
          .size(x.dim(1))
          .size(from)
          .flag(heads)
          .flag(Math.toIntExact(half))
          .size(cos.dim(0))
          .flag(inverse)
          .pointer(cuda().fault())
          .run(Grid.rows(x.dim(0)));
    }
    return out;
  }
}
