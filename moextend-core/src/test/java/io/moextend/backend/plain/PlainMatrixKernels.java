package io.moextend.backend.plain;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.Dispatch;
import io.moextend.backend.Matrix;
import io.moextend.backend.MatrixKernels;
import java.util.List;
import org.jspecify.annotations.Nullable;

interface PlainMatrixKernels extends MatrixKernels {
  /** Reads its parts anew in every product. */
  record Stack(List<Array> parts) implements Matrix {
    @Override
    public long out() {
      return parts.stream().mapToLong(p -> p.dim(0)).sum();
    }

    @Override
    public long in() {
      return parts.getFirst().dim(1);
    }

    double get(int row, int column) {
      int at = row;
      for (Array part : parts) {
        PlainArray p = PlainArray.of(part);
        if (at < p.rows()) {
          return p.get(at, column);
        }
        at -= p.rows();
      }
      throw new IndexOutOfBoundsException("row " + row);
    }

    @Override
    public void refresh() {}

    @Override
    public void close() {}
  }

  @Override
  @MustBeClosed
  default Matrix matrix(List<Array> parts, boolean frozen) {
    parts.forEach(PlainArray::of);
    return new Stack(parts);
  }

  @Override
  default Array product(Arena to, Array x, Matrix w, @Nullable Array bias, DType result) {
    PlainArray in = PlainArray.of(x);
    PlainArray out = PlainArray.of(to.allocate(result, in.rows(), w.out()));
    for (int r = 0; r < in.rows(); r++) {
      for (int o = 0; o < w.out(); o++) {
        double sum = bias == null ? 0 : PlainArray.of(bias).get(o);
        for (int i = 0; i < w.in(); i++) {
          sum += in.get(r, i) * ((Stack) w).get(o, i);
        }
        out.set(r, o, sum);
      }
    }
    return out;
  }

  @Override
  default Array productTransposed(Arena to, Array dY, Matrix w) {
    PlainArray d = PlainArray.of(dY);
    PlainArray out = PlainArray.of(to.allocate(dY.dtype(), d.rows(), w.in()));
    for (int r = 0; r < d.rows(); r++) {
      for (int i = 0; i < w.in(); i++) {
        double sum = 0;
        for (int o = 0; o < w.out(); o++) {
          sum += d.get(r, o) * ((Stack) w).get(o, i);
        }
        out.set(r, i, sum);
      }
    }
    return out;
  }

  @Override
  default Array weightGradient(Arena to, Array dY, long from, long until, Array x) {
    PlainArray d = PlainArray.of(dY);
    PlainArray in = PlainArray.of(x);
    PlainArray out = PlainArray.of(to.allocate(DType.F64, until - from, x.dim(1)));
    for (int o = 0; o < until - from; o++) {
      for (int i = 0; i < x.dim(1); i++) {
        double sum = 0;
        for (int r = 0; r < in.rows(); r++) {
          sum += d.get(r, (int) from + o) * in.get(r, i);
        }
        out.set(o, i, sum);
      }
    }
    return out;
  }

  @Override
  default Array groupedProduct(Arena to, Array x, Dispatch dispatch, List<Matrix> experts) {
    PlainArray out =
        PlainArray.of(to.allocate(x.dtype(), dispatch.rows(), experts.getFirst().out()));
    for (int e = 0; e < experts.size(); e++) {
      Array rows = x.slice(begin(dispatch, e), begin(dispatch, e + 1));
      copy(product(to, rows, experts.get(e), null, x.dtype()), out, begin(dispatch, e));
    }
    return out;
  }

  @Override
  default Array groupedProductTransposed(
      Arena to, Array dY, Dispatch dispatch, List<Matrix> experts) {
    PlainArray out =
        PlainArray.of(to.allocate(dY.dtype(), dispatch.rows(), experts.getFirst().in()));
    for (int e = 0; e < experts.size(); e++) {
      Array rows = dY.slice(begin(dispatch, e), begin(dispatch, e + 1));
      copy(productTransposed(to, rows, experts.get(e)), out, begin(dispatch, e));
    }
    return out;
  }

  @Override
  default Array groupedWeightGradient(
      Arena to, Array dY, long from, long until, Array x, Dispatch dispatch, int expert) {
    int begin = begin(dispatch, expert);
    int end = begin(dispatch, expert + 1);
    return weightGradient(to, dY.slice(begin, end), from, until, x.slice(begin, end));
  }

  private static int begin(Dispatch dispatch, int expert) {
    return PlainArray.of(dispatch.offsets()).integer(expert);
  }

  private static void copy(Array rows, PlainArray out, int atRow) {
    PlainArray from = PlainArray.of(rows);
    for (int r = 0; r < from.rows(); r++) {
      for (int c = 0; c < from.width(); c++) {
        out.set(atRow + r, c, from.get(r, c));
      }
    }
  }
}
