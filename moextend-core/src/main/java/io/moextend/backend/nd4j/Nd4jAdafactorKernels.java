package io.moextend.backend.nd4j;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.array.ShapeException;
import io.moextend.backend.AdafactorKernels;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.ops.transforms.Transforms;

/** In blocks that bound the temporaries; a step's rate is worked out on the host. */
interface Nd4jAdafactorKernels extends AdafactorKernels {
  /** Elements handled at once. */
  long BLOCK = 1 << 18;

  @Override
  default Array squaresInto(Arena to, Array v, Array gradient, Squares how) {
    requireLike(v, gradient);
    Array out = to.allocate(DType.F64, 1);
    INDArray total = Nd4jArray.of(out).assign(0);
    for (long begin = 0; begin < v.size(); begin += BLOCK) {
      try (var t = new Temporaries()) {
        INDArray kept = Nd4jArray.writable(block(v, begin));
        INDArray square = square(t, Nd4jArray.number(block(gradient, begin)), how);
        kept.muli(how.decay()).addi(t.keep(square.add(how.eps())).muli(how.mixing()));
        total.addi(t.keep(t.cast(square.divi(kept), DataType.DOUBLE).sum(0)));
      }
    }
    return out;
  }

  @Override
  default void moveInto(Array master, Array v, Array gradient, Array sums, Move how) {
    requireLike(master, v);
    requireLike(master, gradient);
    double by = rate(sums, how) * how.gradientScale();
    for (long begin = 0; begin < master.size(); begin += BLOCK) {
      try (var t = new Temporaries()) {
        INDArray root = Transforms.sqrt(t.copy(Nd4jArray.number(block(v, begin))), false);
        INDArray step = t.keep(Nd4jArray.number(block(gradient, begin)).div(root)).muli(by);
        Nd4jArray.writable(block(master, begin)).subi(step);
      }
    }
  }

  @Override
  default Array factoredSquaresInto(
      Arena to, Array rows, Array columns, Array gradient, Squares how) {
    requireMatrix(gradient, rows, columns);
    Array out = to.allocate(DType.F64, 1);
    INDArray total = Nd4jArray.of(out).assign(0);
    if (gradient.size() > 0) {
      try (var t = new Temporaries()) {
        INDArray r = Nd4jArray.writable(rows);
        INDArray c = Nd4jArray.writable(columns);
        INDArray sumOfColumns = t.zeros(DataType.DOUBLE, columns.size());
        r.muli(how.decay());
        for (long begin = 0; begin < rows.size(); begin += rows(columns)) {
          addSquares(part(gradient, begin, columns), part(rows, begin, columns), sumOfColumns, how);
        }
        INDArray mean = t.cast(sumOfColumns.divi(rows.size()).addi(how.eps()), c.dataType());
        c.muli(how.decay()).addi(t.keep(mean.mul(how.mixing())));
        INDArray roots = inverseRoot(t, c, 1);
        double meanOfRows = mean(t, r);
        for (long begin = 0; begin < rows.size(); begin += rows(columns)) {
          addUpdates(
              total,
              Nd4jArray.number(part(gradient, begin, columns)),
              Nd4jArray.number(part(rows, begin, columns)),
              roots,
              meanOfRows,
              how);
        }
      }
    }
    return out;
  }

  private static void addSquares(Array gradient, Array rows, INDArray columns, Squares how) {
    try (var t = new Temporaries()) {
      INDArray square = square(t, Nd4jArray.number(gradient), how);
      INDArray mean = t.keep(square.mean(1)).addi(how.eps());
      Nd4jArray.writable(rows).addi(mean.muli(how.mixing()));
      columns.addi(t.cast(t.keep(square.sum(0)), DataType.DOUBLE));
    }
  }

  private static void addUpdates(
      INDArray total, INDArray gradient, INDArray rows, INDArray roots, double mean, Squares how) {
    try (var t = new Temporaries()) {
      INDArray u = t.keep(gradient.mul(how.gradientScale())).muliRowVector(roots);
      u.muliColumnVector(inverseRoot(t, rows, mean));
      INDArray wide = t.cast(u, DataType.DOUBLE);
      INDArray squares = t.keep(wide.mul(wide));
      total.addi(t.keep(squares.reshape(squares.length()).sum(0)));
    }
  }

  @Override
  default void factoredMoveInto(
      Array master, Array rows, Array columns, Array gradient, Array sums, Move how) {
    requireMatrix(master, rows, columns);
    requireMatrix(gradient, rows, columns);
    double by = rate(sums, how) * how.gradientScale();
    if (master.size() == 0) {
      return;
    }
    try (var t = new Temporaries()) {
      INDArray roots = inverseRoot(t, Nd4jArray.number(columns), 1);
      double mean = mean(t, Nd4jArray.number(rows));
      for (long begin = 0; begin < rows.size(); begin += rows(columns)) {
        try (var own = new Temporaries()) {
          INDArray g = Nd4jArray.number(part(gradient, begin, columns));
          INDArray step = own.keep(g.mul(by)).muliRowVector(roots);
          step.muliColumnVector(
              inverseRoot(own, Nd4jArray.number(part(rows, begin, columns)), mean));
          Nd4jArray.writable(part(master, begin, columns)).subi(step);
        }
      }
    }
  }

  private static INDArray square(Temporaries t, INDArray gradient, Squares how) {
    INDArray g = t.keep(gradient.mul(how.gradientScale()));
    return g.muli(g);
  }

  /** √(mean / x) */
  private static INDArray inverseRoot(Temporaries t, INDArray x, double mean) {
    return Transforms.sqrt(t.keep(x.rdiv(mean)), false);
  }

  private static double mean(Temporaries t, INDArray x) {
    return t.keep(t.cast(x, DataType.DOUBLE).mean(0)).getDouble(0);
  }

  private static double rate(Array sums, Move how) {
    INDArray both = Nd4jArray.of(sums.require("sums", 2));
    return how.rate(both.getDouble(0), both.getDouble(1));
  }

  /** Up to {@link #BLOCK} elements from {@code begin}, as a vector. */
  private static Array block(Array array, long begin) {
    return array.reshape(array.size()).slice(begin, Math.min(array.size(), begin + BLOCK));
  }

  /** Rows handled at once. */
  private static long rows(Array columns) {
    return Math.max(1, BLOCK / columns.size());
  }

  private static Array part(Array matrixOrRows, long begin, Array columns) {
    return matrixOrRows.slice(begin, Math.min(matrixOrRows.dim(0), begin + rows(columns)));
  }

  private static void requireMatrix(Array matrix, Array rows, Array columns) {
    matrix.require("matrix", rows.size(), columns.size());
    SameType.require("rows", rows, matrix.dtype());
    SameType.require("columns", columns, matrix.dtype());
  }

  private static void requireLike(Array into, Array from) {
    if (into.size() != from.size()) {
      throw new ShapeException("%s and %s differ in size".formatted(into, from));
    }
    SameType.require("v or gradient", from, into.dtype());
  }
}
