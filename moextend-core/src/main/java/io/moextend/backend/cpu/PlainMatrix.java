package io.moextend.backend.cpu;

import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.array.ShapeException;
import io.moextend.backend.Matrix;
import java.util.ArrayList;
import java.util.List;

/**
 * A stack of weights read where they lie: in a mapped checkpoint, in an arena, in memory that ranks
 * share. Both products take part in it without a copy; the library repacks the blocks it works on
 * in its cache, which costs a twentieth to a tenth of a product where packed copies of all weights
 * would cost twice their memory (docs/numerics.md).
 */
final class PlainMatrix implements Matrix {
  /**
   * One of the stacked weights.
   *
   * @param first row of the stack
   * @param weights [rows, in]
   */
  record Part(int first, int rows, CpuArray weights) {}

  private final List<Part> parts;
  private final DType type;
  private final int out;
  private final int in;
  private boolean closed;

  PlainMatrix(List<Array> arrays) {
    CpuArray any = CpuArray.of(arrays.getFirst());
    this.type = any.dtype();
    this.in = CpuDevice.count(any.dim(1));
    var stack = new ArrayList<Part>();
    int row = 0;
    for (Array array : arrays) {
      CpuArray part = CpuArray.of(array);
      part.require("a part of the matrix", -1, in);
      if (part.dtype() != type) {
        throw new ShapeException("parts of one matrix are %s and %s".formatted(type, part.dtype()));
      }
      int rows = CpuDevice.count(part.dim(0));
      stack.add(new Part(row, rows, part));
      row += rows;
    }
    this.parts = List.copyOf(stack);
    this.out = row;
  }

  DType type() {
    return type;
  }

  /** From the top row down; each of them is checked to be there still. */
  List<Part> parts() {
    if (closed) {
      throw new IllegalStateException("the matrix [%d, %d] was closed".formatted(out, in));
    }
    parts.forEach(part -> CpuArray.of(part.weights));
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
