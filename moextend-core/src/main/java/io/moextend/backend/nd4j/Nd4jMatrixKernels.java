package io.moextend.backend.nd4j;

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
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.indexing.NDArrayIndex;

/** Products with weights: one OpenBLAS (or cuBLAS) call for each, one per expert in a group. */
interface Nd4jMatrixKernels extends MatrixKernels {
  Nd4jMemory memory();

  @Override
  @MustBeClosed
  default Matrix matrix(List<Array> parts, boolean frozen) {
    return new Nd4jMatrix(memory(), parts, frozen);
  }

  @Override
  default Array product(Arena to, Array x, Matrix w, @Nullable Array bias, DType result) {
    Nd4jMatrix matrix = (Nd4jMatrix) w;
    requireInput("x", x, matrix.in(), matrix);
    if (result != matrix.dtype()) { // F32 and F64 are their own wide types
      throw new ShapeException("a product of %s gives no %s".formatted(matrix.dtype(), result));
    }
    Array out = to.allocate(result, x.dim(0), matrix.out());
    if (out.size() > 0) {
      Products.timesTransposed(Nd4jArray.of(out), Nd4jArray.of(x), matrix.weight(), 1);
      if (bias != null) {
        bias.require("bias", matrix.out());
        SameType.require("bias", bias, matrix.dtype());
        Nd4jArray.of(out).addiRowVector(Nd4jArray.of(bias));
      }
    }
    return out;
  }

  @Override
  default Array productTransposed(Arena to, Array dY, Matrix w) {
    Nd4jMatrix matrix = (Nd4jMatrix) w;
    requireInput("dY", dY, matrix.out(), matrix);
    Array out = to.allocate(matrix.dtype(), dY.dim(0), matrix.in());
    if (out.size() > 0) {
      Products.times(Nd4jArray.of(out), Nd4jArray.of(dY), matrix.weight(), 1);
    }
    return out;
  }

  @Override
  default Array weightGradient(Arena to, Array dY, long from, long until, Array x) {
    return gradient(to, dY, from, until, x);
  }

  private static Array gradient(Arena to, Array dY, long from, long until, Array x) {
    dY.require("dY", x.dim(0), -1);
    SameType.require("dY", dY, x.dtype());
    if (from < 0 || until < from || until > dY.dim(1)) {
      throw new ShapeException("dY is %s and has no columns %d to %d".formatted(dY, from, until));
    }
    Array out = to.allocate(x.dtype().wide(), until - from, x.dim(1));
    if (out.size() == 0) {
      return out;
    }
    INDArray result = Nd4jArray.number(out);
    if (x.dim(0) == 0) {
      result.assign(0);
      return out;
    }
    INDArray columns = Nd4jArray.of(dY).get(NDArrayIndex.all(), NDArrayIndex.interval(from, until));
    Products.transposedTimes(result, columns, Nd4jArray.of(x), 1);
    return out;
  }

  @Override
  default Array groupedProduct(Arena to, Array x, Dispatch dispatch, List<Matrix> experts) {
    return grouped(to, x, dispatch, experts, false);
  }

  @Override
  default Array groupedProductTransposed(
      Arena to, Array dY, Dispatch dispatch, List<Matrix> experts) {
    return grouped(to, dY, dispatch, experts, true);
  }

  private static Array grouped(
      Arena to, Array x, Dispatch dispatch, List<Matrix> experts, boolean transposed) {
    if (experts.size() != dispatch.experts()) {
      throw new ShapeException(
          "%d matrices for %d experts".formatted(experts.size(), dispatch.experts()));
    }
    Matrix first = experts.getFirst();
    long width = transposed ? first.out() : first.in();
    Array out =
        to.allocate(
            ((Nd4jMatrix) first).dtype(), dispatch.rows(), transposed ? first.in() : first.out());
    int[] offsets = HostCopy.ints(dispatch.offsets());
    for (int e = 0; e < experts.size(); e++) {
      Nd4jMatrix matrix = (Nd4jMatrix) experts.get(e);
      x.require("x", dispatch.rows(), width);
      if (matrix.out() != first.out() || matrix.in() != first.in()) {
        throw new ShapeException(
            "expert %d is [%d, %d] and expert 0 [%d, %d]"
                .formatted(e, matrix.out(), matrix.in(), first.out(), first.in()));
      }
      requireInput("x", x, width, matrix);
      if (offsets[e + 1] > offsets[e]) {
        INDArray from = Nd4jArray.of(x.slice(offsets[e], offsets[e + 1]));
        INDArray into = Nd4jArray.of(out.slice(offsets[e], offsets[e + 1]));
        if (transposed) {
          Products.times(into, from, matrix.weight(), 1);
        } else {
          Products.timesTransposed(into, from, matrix.weight(), 1);
        }
      }
    }
    return out;
  }

  @Override
  default Array groupedWeightGradient(
      Arena to, Array dY, long from, long until, Array x, Dispatch dispatch, int expert) {
    x.require("x", dispatch.rows(), -1);
    dY.require("dY", dispatch.rows(), -1);
    int[] offsets = HostCopy.ints(dispatch.offsets());
    int begin = offsets[expert];
    int end = offsets[expert + 1];
    return gradient(to, dY.slice(begin, end), from, until, x.slice(begin, end));
  }

  private static void requireInput(String name, Array x, long width, Nd4jMatrix matrix) {
    x.require(name, -1, width);
    SameType.require(name, x, matrix.dtype());
    if (x.size() > 0) {
      Nd4jArray.number(x);
    }
  }
}
