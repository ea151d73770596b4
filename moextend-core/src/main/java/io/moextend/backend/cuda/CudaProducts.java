package io.moextend.backend.cuda;

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

/** Products with weights; how many rows an expert has stays on the card. */
interface CudaProducts extends MatrixKernels {
  CudaDevice cuda();

  @Override
  @MustBeClosed
  default Matrix matrix(List<Array> parts, boolean frozen) {
    return new CudaMatrix(parts);
  }

  @Override
  default Array product(Arena to, Array x, Matrix w, @Nullable Array bias, DType result) {
    CudaMatrix matrix = CudaMatrix.of(w);
    CudaArray source = CudaArray.of(x, matrix.type());
    source.require("x", -1, matrix.in());
    CudaArray added = bias == null ? null : CudaArray.of(bias, matrix.type());
    if (added != null) {
      added.require("bias", matrix.out());
    }
    if (result != matrix.type() && result != DType.F32) {
      throw new ShapeException("a product of %s cannot give %s".formatted(matrix.type(), result));
    }
    var out = (CudaArray) to.allocate(result, x.dim(0), matrix.out());
    if (out.size() > 0) {
      cuda().products().forward(out, source, matrix, added);
    }
    return out;
  }

  @Override
  default Array productTransposed(Arena to, Array dY, Matrix w) {
    CudaMatrix matrix = CudaMatrix.of(w);
    dY.require("dY", -1, matrix.out());
    var out = (CudaArray) to.allocate(matrix.type(), dY.dim(0), matrix.in());
    CudaArray given = CudaArray.of(dY);
    if (out.size() > 0) {
      rounded(given, matrix.type(), d -> cuda().products().backward(out, d, matrix));
    }
    return out;
  }

  @Override
  default Array weightGradient(Arena to, Array dY, long from, long until, Array x) {
    CudaArray given = gradientInput(dY, from, until, x);
    CudaArray source = CudaArray.number(x);
    var out = (CudaArray) to.allocate(DType.F32, until - from, x.dim(1));
    if (x.dim(0) == 0) {
      cuda().clear(out);
    } else if (out.size() > 0) {
      rounded(given, source.dtype(), d -> cuda().products().gradient(out, d, from, source));
    }
    return out;
  }

  @Override
  default Array groupedProduct(Arena to, Array x, Dispatch dispatch, List<Matrix> experts) {
    List<CudaMatrix> matrices = sameShape(dispatch, experts);
    CudaMatrix any = matrices.getFirst();
    CudaArray source = CudaArray.of(x, any.type());
    source.require("x", dispatch.rows(), any.in());
    CudaArray offsets = CudaArray.of(dispatch.offsets(), DType.I32);
    var out = (CudaArray) to.allocate(any.type(), dispatch.rows(), any.out());
    if (out.size() > 0) {
      cuda()
          .products()
          .grouped("grouped_product", out, source, offsets, dispatch.experts(), matrices);
    }
    return out;
  }

  @Override
  default Array groupedProductTransposed(
      Arena to, Array dY, Dispatch dispatch, List<Matrix> experts) {
    List<CudaMatrix> matrices = sameShape(dispatch, experts);
    CudaMatrix any = matrices.getFirst();
    dY.require("dY", dispatch.rows(), any.out());
    CudaArray given = CudaArray.of(dY);
    CudaArray offsets = CudaArray.of(dispatch.offsets(), DType.I32);
    var out = (CudaArray) to.allocate(any.type(), dispatch.rows(), any.in());
    if (out.size() > 0) {
      rounded(
          given,
          any.type(),
          d ->
              cuda()
                  .products()
                  .grouped("grouped_transposed", out, d, offsets, dispatch.experts(), matrices));
    }
    return out;
  }

  @Override
  default Array groupedWeightGradient(
      Arena to, Array dY, long from, long until, Array x, Dispatch dispatch, int expert) {
    x.require("x", dispatch.rows(), -1);
    CudaArray given = gradientInput(dY, from, until, x);
    CudaArray source = CudaArray.number(x);
    CudaArray offsets = CudaArray.of(dispatch.offsets(), DType.I32);
    var out = (CudaArray) to.allocate(DType.F32, until - from, x.dim(1));
    if (x.dim(0) == 0) {
      cuda().clear(out);
    } else if (out.size() > 0) {
      rounded(
          given,
          source.dtype(),
          d -> cuda().products().groupedGradient(out, d, from, source, offsets, expert));
    }
    return out;
  }

  private static CudaArray gradientInput(Array dY, long from, long until, Array x) {
    dY.require("dY", x.dim(0), -1);
    if (from < 0 || until < from || until > dY.dim(1)) {
      throw new ShapeException("columns [%d, %d) of dY %s".formatted(from, until, dY));
    }
    return CudaArray.of(dY);
  }

  /** What a product does with an array of the type it wants. */
  interface Use {
    void with(CudaArray array);
  }

  private void rounded(CudaArray given, DType type, Use use) {
    if (given.dtype() == type) {
      use.with(given);
      return;
    }
    try (var copy = cuda().scratch(type, given.shape())) {
      cuda().cast(copy.array(), given);
      use.with(copy.array());
    }
  }

  private static List<CudaMatrix> sameShape(Dispatch dispatch, List<Matrix> experts) {
    if (experts.size() != dispatch.experts()) {
      throw new ShapeException(
          "%d matrices for %d experts".formatted(experts.size(), dispatch.experts()));
    }
    List<CudaMatrix> matrices = experts.stream().map(CudaMatrix::of).toList();
    CudaMatrix first = matrices.getFirst();
    for (CudaMatrix m : matrices) {
      if (m.in() != first.in() || m.out() != first.out() || m.type() != first.type()) {
        throw new ShapeException(
            "experts of different shapes: %s[%d, %d] and %s[%d, %d]"
                .formatted(first.type(), first.out(), first.in(), m.type(), m.out(), m.in()));
      }
    }
    return matrices;
  }
}
