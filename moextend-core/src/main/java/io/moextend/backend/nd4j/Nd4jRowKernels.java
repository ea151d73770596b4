package io.moextend.backend.nd4j;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.ShapeException;
import io.moextend.backend.RowKernels;
import java.util.List;
import java.util.stream.IntStream;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.indexing.INDArrayIndex;
import org.nd4j.linalg.indexing.NDArrayIndex;

/** Moves of rows and columns, of any type; row numbers are checked on the host first. */
interface Nd4jRowKernels extends RowKernels {
  @Override
  default Array gatherRows(Arena to, Array table, Array rows) {
    table.require("table", -1, -1);
    rows.require("rows", -1);
    HostCopy.rowNumbers("rows", rows, table.dim(0));
    Array out = to.allocate(table.dtype(), rows.dim(0), table.dim(1));
    if (out.size() > 0) {
      RowMoves.gather(Nd4jArray.of(out), Nd4jArray.of(table), Nd4jArray.of(rows));
    }
    return out;
  }

  @Override
  default Array scatterRows(Arena to, Array dOut, Array rows, long tableRows) {
    dOut.require("dOut", rows.dim(0), -1);
    int[] at = HostCopy.rowNumbers("rows", rows, tableRows);
    Array out = to.allocate(dOut.dtype().wide(), tableRows, dOut.dim(1));
    if (out.size() > 0) {
      INDArray table = Nd4jArray.of(out).assign(0);
      if (dOut.size() > 0) {
        try (var t = new Temporaries()) {
          RowSums.into(t, table, Nd4jArray.number(dOut), at);
        }
      }
    }
    return out;
  }

  @Override
  default Array mixRows(Arena to, Array table, Array rows, Array weights) {
    table.require("table", -1, -1);
    rows.require("rows", -1, -1);
    weights.require("weights", rows.shape());
    SameType.require("weights", weights, table.dtype().wide());
    int[] at = HostCopy.rowNumbers("rows", rows, table.dim(0));
    int count = Math.toIntExact(rows.dim(0));
    int each = Math.toIntExact(rows.dim(1));
    Array out = to.allocate(table.dtype(), count, table.dim(1));
    if (out.size() > 0) {
      INDArray numbers = Nd4jArray.number(table);
      INDArray sum = Nd4jArray.of(out).assign(0);
      for (int j = 0; j < each; j++) {
        int place = j;
        try (var t = new Temporaries()) {
          INDArray from =
              t.ints(IntStream.range(0, count).map(r -> at[r * each + place]).toArray());
          INDArray taken = t.uninitialized(numbers.dataType(), count, table.dim(1));
          INDArray weight =
              t.copy(
                  Nd4jArray.number(weights)
                      .get(NDArrayIndex.all(), NDArrayIndex.interval(j, j + 1)));
          RowMoves.gather(taken, numbers, from);
          sum.addi(taken.muliColumnVector(weight));
        }
      }
    }
    return out;
  }

  @Override
  default Array replaceRows(Arena to, Array x, Array rows, Array values) {
    values.require("values", rows.dim(0), x.dim(1));
    SameType.require("values", values, x.dtype());
    Array out = copyOf(to, x, rows);
    if (values.size() > 0) {
      RowMoves.put(Nd4jArray.of(out), Nd4jArray.of(rows), Nd4jArray.of(values));
    }
    return out;
  }

  @Override
  default Array clearRows(Arena to, Array x, Array rows) {
    Array out = copyOf(to, x, rows);
    if (rows.size() > 0 && x.size() > 0) {
      try (var t = new Temporaries()) {
        INDArray table = Nd4jArray.of(out);
        INDArray zeros = t.zeros(table.dataType(), rows.dim(0), x.dim(1));
        RowMoves.put(table, Nd4jArray.of(rows), zeros);
      }
    }
    return out;
  }

  private static Array copyOf(Arena to, Array x, Array rows) {
    x.require("x", -1, -1);
    rows.require("rows", -1);
    HostCopy.rowNumbers("rows", rows, x.dim(0));
    Array out = to.allocate(x.dtype(), x.shape());
    if (x.size() > 0) {
      Nd4jArray.of(out).assign(Nd4jArray.of(x));
    }
    return out;
  }

  @Override
  default Array columns(Arena to, Array x, long from, long until) {
    x.require("x", -1, -1);
    if (from < 0 || until < from || until > x.dim(1)) {
      throw new ShapeException("%s has no columns %d to %d".formatted(x, from, until));
    }
    Array out = to.allocate(x.dtype(), x.dim(0), until - from);
    if (out.size() > 0) {
      Nd4jArray.of(out)
          .assign(Nd4jArray.of(x).get(NDArrayIndex.all(), NDArrayIndex.interval(from, until)));
    }
    return out;
  }

  @Override
  default Array joinColumns(Arena to, List<Array> parts) {
    Array first = parts.getFirst();
    long width = parts.stream().mapToLong(p -> p.dim(1)).sum();
    Array out = to.allocate(first.dtype(), first.dim(0), width);
    long from = 0;
    for (Array part : parts) {
      part.require("part", first.dim(0), -1);
      SameType.require("part", part, first.dtype());
      long until = from + part.dim(1);
      if (part.size() > 0) {
        put(out, part, NDArrayIndex.all(), NDArrayIndex.interval(from, until));
      }
      from = until;
    }
    return out;
  }

  @Override
  default Array joinRows(Arena to, List<Array> parts) {
    Array first = parts.getFirst();
    long rows = parts.stream().mapToLong(p -> p.dim(0)).sum();
    Array out = to.allocate(first.dtype(), rows, first.dim(1));
    long from = 0;
    for (Array part : parts) {
      part.require("part", -1, first.dim(1));
      SameType.require("part", part, first.dtype());
      long until = from + part.dim(0);
      if (part.size() > 0) {
        put(out, part, NDArrayIndex.interval(from, until), NDArrayIndex.all());
      }
      from = until;
    }
    return out;
  }

  private static void put(Array out, Array part, INDArrayIndex rows, INDArrayIndex columns) {
    Nd4jArray.of(out).get(rows, columns).assign(Nd4jArray.of(part));
  }

  @Override
  default Array patches(Arena to, Array pixels, int size) {
    pixels.require("pixels", -1, -1, -1, -1);
    if (size < 1 || pixels.dim(2) % size != 0 || pixels.dim(3) % size != 0) {
      throw new ShapeException("%s does not fall into patches of %d".formatted(pixels, size));
    }
    long images = pixels.dim(0);
    long channels = pixels.dim(1);
    long down = pixels.dim(2) / size;
    long across = pixels.dim(3) / size;
    Array out = to.allocate(pixels.dtype(), images * down * across, channels * size * size);
    if (out.size() > 0) {
      INDArray split =
          Nd4jArray.of(pixels.reshape(images, channels, down, size, across, size))
              .permute(0, 2, 4, 1, 3, 5);
      Nd4jArray.of(out.reshape(images, down, across, channels, size, size)).assign(split);
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
    x.require("x", positions.dim(0), -1);
    sin.require("sin", cos.shape());
    SameType.require("cos", cos, x.dtype().wide());
    SameType.require("sin", sin, x.dtype().wide());
    HostCopy.rowNumbers("positions", positions, cos.dim(0));
    long half = cos.dim(1);
    long width = 2 * half * heads;
    if (from < 0 || from + width > x.dim(1)) {
      throw new ShapeException(
          "%s has no %d heads of %d from column %d".formatted(x, heads, 2 * half, from));
    }
    long rows = x.dim(0);
    Array out = to.allocate(x.dtype(), rows, width);
    if (out.size() > 0) {
      try (var t = new Temporaries()) {
        INDArray in =
            t.copy(
                    Nd4jArray.number(x)
                        .get(NDArrayIndex.all(), NDArrayIndex.interval(from, from + width)))
                .reshape(rows, heads, 2 * half);
        INDArray c = turns(t, cos, positions);
        INDArray s = turns(t, sin, positions).muli(inverse ? -1 : 1);
        INDArray first = t.copy(half(in, 0, half));
        INDArray second = t.copy(half(in, half, half));
        INDArray turned = Nd4jArray.of(out.reshape(rows, heads, 2 * half));
        half(turned, 0, half).assign(t.keep(first.mul(c)).subi(t.keep(second.mul(s))));
        half(turned, half, half).assign(second.muli(c).addi(first.muli(s)));
      }
    }
    return out;
  }

  /** The table's rows at each position, [R, 1, half]. */
  private static INDArray turns(Temporaries t, Array table, Array positions) {
    INDArray numbers = Nd4jArray.number(table);
    INDArray rows = t.uninitialized(numbers.dataType(), positions.dim(0), table.dim(1));
    return RowMoves.gather(rows, numbers, Nd4jArray.of(positions))
        .reshape(positions.dim(0), 1, table.dim(1));
  }

  private static INDArray half(INDArray heads, long from, long width) {
    return heads.get(
        NDArrayIndex.all(), NDArrayIndex.all(), NDArrayIndex.interval(from, from + width));
  }
}
