package io.moextend.backend.cuda;

import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.Matrix;
import java.util.ArrayList;
import java.util.List;

/** A stack of weights read where they lie; nothing is copied, so an update needs no refresh. */
final class CudaMatrix implements Matrix {
  /**
   * One of the stacked weights.
   *
   * @param first row of the stack
   * @param weights [rows, in]
   */
  record Part(long first, long rows, CudaArray weights) {}

  private final List<Part> parts;
  private final DType type;
  private final long out;
  private final long in;
  private boolean closed;

  CudaMatrix(List<Array> arrays) {
    CudaArray any = CudaArray.number(arrays.getFirst());
    any.require("a part of the matrix", -1, -1);
    this.type = any.dtype();
    this.in = any.dim(1);
    var stack = new ArrayList<Part>();
    long row = 0;
    for (Array array : arrays) {
      CudaArray part = CudaArray.of(array, type);
      part.require("a part of the matrix", -1, in);
      stack.add(new Part(row, part.dim(0), part));
      row += part.dim(0);
    }
    this.parts = List.copyOf(stack);
    this.out = row;
  }

  static CudaMatrix of(Matrix matrix) {
    if (matrix instanceof CudaMatrix own) {
      return own;
    }
    throw new IllegalArgumentException(
        "a matrix of another backend: " + matrix.getClass().getName());
  }

  DType type() {
    return type;
  }

  /** From the top row down; each of them is checked to be there still. */
  List<Part> parts() {
    if (closed) {
      throw new IllegalStateException("the matrix [%d, %d] was closed".formatted(out, in));
    }
    parts.forEach(part -> CudaArray.of(part.weights));
    return parts;
  }

  @Override
  public long out() {
    return out;
  }

  @Override
  public long in() {
    return in;
  }

  /** Nothing to do: an updated part is read as it is. */
  @Override
  public void refresh() {}

  @Override
  public void close() {
    closed = true;
  }
}
