package io.moextend.backend.cpu;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.array.ShapeException;
import io.moextend.backend.Dispatch;
import io.moextend.backend.Matrix;
import io.moextend.backend.MatrixKernels;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Products with weights, cut over the workers by panels of columns and blocks of rows. */
interface CpuProducts extends MatrixKernels {
  CpuDevice cpu();

  @Override
  @MustBeClosed
  default Matrix matrix(List<Array> parts, boolean frozen) {
    return new PlainMatrix(parts);
  }

  @Override
  default Array product(Arena to, Array x, Matrix w, @Nullable Array bias, DType result) {
    PlainMatrix matrix = plain(w);
    CpuArray source = CpuArray.of(x, matrix.type());
    source.require("x", -1, matrix.in());
    if (bias != null) {
      CpuArray.of(bias, matrix.type()).require("bias", matrix.out());
    }
    if (result != matrix.type() && result != DType.F32) {
      throw new ShapeException("a product of %s cannot give %s".formatted(matrix.type(), result));
    }
    CpuArray out = CpuDevice.allocate(to, result, x.dim(0), matrix.out());
    int[] offsets = {0, CpuDevice.count(x.dim(0))};
    forward(source, out, bias == null ? null : CpuArray.of(bias), offsets, List.of(matrix));
    return out;
  }

  @Override
  default Array productTransposed(Arena to, Array dY, Matrix w) {
    PlainMatrix matrix = plain(w);
    dY.require("dY", -1, matrix.out());
    CpuArray out = CpuDevice.allocate(to, matrix.type(), dY.dim(0), matrix.in());
    int[] offsets = {0, CpuDevice.count(dY.dim(0))};
    CpuArray source = rounded(to, dY, matrix.type());
    new RowProducts(cpu(), source, out, null, false).run(offsets, List.of(matrix));
    release(to, source, dY);
    return out;
  }

  @Override
  default Array weightGradient(Arena to, Array dY, long from, long until, Array x) {
    return gradient(to, dY, from, until, x, 0, CpuDevice.count(x.dim(0)));
  }

  @Override
  default Array groupedProduct(Arena to, Array x, Dispatch dispatch, List<Matrix> experts) {
    List<PlainMatrix> matrices = sameShape(dispatch, experts);
    PlainMatrix any = matrices.getFirst();
    CpuArray source = CpuArray.of(x, any.type());
    source.require("x", dispatch.rows(), any.in());
    CpuArray out = CpuDevice.allocate(to, any.type(), dispatch.rows(), any.out());
    int[] offsets = offsets(dispatch);
    forward(source, out, null, offsets, matrices);
    return out;
  }

  private void forward(
      CpuArray x,
      CpuArray out,
      @Nullable CpuArray bias,
      int[] offsets,
      List<PlainMatrix> matrices) {
    if (OneRow.fits(offsets)) {
      new OneRow(cpu(), x, out, bias).run(offsets, matrices);
    } else {
      new RowProducts(cpu(), x, out, bias, true).run(offsets, matrices);
    }
  }

  @Override
  default Array groupedProductTransposed(
      Arena to, Array dY, Dispatch dispatch, List<Matrix> experts) {
    List<PlainMatrix> matrices = sameShape(dispatch, experts);
    PlainMatrix any = matrices.getFirst();
    dY.require("dY", dispatch.rows(), any.out());
    CpuArray out = CpuDevice.allocate(to, any.type(), dispatch.rows(), any.in());
    int[] offsets = offsets(dispatch);
    CpuArray source = rounded(to, dY, any.type());
    new RowProducts(cpu(), source, out, null, false).run(offsets, matrices);
    release(to, source, dY);
    return out;
  }

  @Override
  default Array groupedWeightGradient(
      Arena to, Array dY, long from, long until, Array x, Dispatch dispatch, int expert) {
    int[] offsets = offsets(dispatch);
    x.require("x", dispatch.rows(), -1);
    return gradient(to, dY, from, until, x, offsets[expert], offsets[expert + 1]);
  }

  private Array gradient(
      Arena to, Array dY, long from, long until, Array x, int firstRow, int endRow) {
    dY.require("dY", x.dim(0), -1);
    if (from < 0 || until < from || until > dY.dim(1)) {
      throw new ShapeException("columns [%d, %d) of dY %s".formatted(from, until, dY));
    }
    CpuArray source = CpuArray.of(x);
    CpuArray left = rounded(to, dY, source.dtype());
    CpuArray out = CpuDevice.allocate(to, DType.F32, until - from, x.dim(1));
    new WeightGradient(cpu(), left, from, source, firstRow, endRow, out).run();
    release(to, left, dY);
    return out;
  }

  /** {@code dY} in the type of the other factor: itself, or a copy to be given to release. */
  default CpuArray rounded(Arena to, Array dY, DType type) {
    CpuArray source = CpuArray.of(dY);
    if (source.dtype() == type) {
      return source;
    }
    CpuArray copy = CpuDevice.allocate(to, type, dY.shape());
    cpu().convert(source, copy);
    return copy;
  }

  static void release(Arena to, CpuArray used, Array given) {
    if (used != given) {
      to.free(used);
    }
  }

  /** This backend's view of a matrix. */
  static PlainMatrix plain(Matrix w) {
    if (w instanceof PlainMatrix matrix) {
      return matrix;
    }
    throw new IllegalArgumentException("a matrix of another backend: " + w.getClass().getName());
  }

  private static List<PlainMatrix> sameShape(Dispatch dispatch, List<Matrix> experts) {
    if (experts.size() != dispatch.experts()) {
      throw new ShapeException(
          "%d matrices for %d experts".formatted(experts.size(), dispatch.experts()));
    }
    List<PlainMatrix> matrices = experts.stream().map(CpuProducts::plain).toList();
    PlainMatrix first = matrices.getFirst();
    for (PlainMatrix m : matrices) {
      if (m.in() != first.in() || m.out() != first.out() || m.type() != first.type()) {
        throw new ShapeException(
            "experts of different shapes: %s[%d, %d] and %s[%d, %d]"
                .formatted(first.type(), first.out(), first.in(), m.type(), m.out(), m.in()));
      }
    }
    return matrices;
  }

  /** Where each expert's rows begin; on the CPU the device's memory is the host's. */
  private static int[] offsets(Dispatch dispatch) {
    CpuArray offsets = CpuArray.of(dispatch.offsets(), DType.I32);
    int[] values = new int[dispatch.experts() + 1];
    for (int i = 0; i < values.length; i++) {
      values[i] = offsets.intAt(i);
    }
    return values;
  }
}
