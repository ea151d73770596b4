package io.moextend.backend.nd4j;

import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.Matrix;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.indexing.NDArrayIndex;

/**
 * A weight as ND4J multiplies it: dense and row-major. A lone part is read where it lies if it is
 * trainable, or frozen and in memory that its owner keeps; else the matrix is a copy.
 */
final class Nd4jMatrix implements Matrix {
  private final Nd4jMemory memory;
  private final List<Array> parts;
  private final boolean frozen;
  private final long out;
  private final long in;
  private final DType dtype;
  private final @Nullable Array copy;
  private boolean closed;

  Nd4jMatrix(Nd4jMemory memory, List<Array> parts, boolean frozen) {
    Array first = parts.getFirst();
    this.memory = memory;
    this.frozen = frozen;
    this.dtype = first.dtype();
    this.in = first.require("a matrix' part", -1, -1).dim(1);
    Nd4jArray.requireComputed(dtype, "a matrix with the part " + first);
    long rows = 0;
    for (Array part : parts) {
      part.require("a matrix' part", -1, in);
      SameType.require("a matrix' part", part, dtype);
      rows += part.dim(0);
    }
    this.out = rows;
    boolean inPlace = parts.size() == 1 && (!frozen || Nd4jArray.own(first).isForeign());
    this.copy = inPlace ? null : memory.allocate(dtype, out, in);
    this.parts = List.copyOf(parts);
    if (copy != null) {
      stack(copy);
    }
  }

  private void stack(Array into) {
    INDArray whole = Nd4jArray.of(into);
    long row = 0;
    for (Array part : parts) {
      if (part.size() > 0) {
        whole
            .get(NDArrayIndex.interval(row, row + part.dim(0)), NDArrayIndex.all())
            .assign(Nd4jArray.of(part));
      }
      row += part.dim(0);
    }
  }

  /** [out, in]. */
  INDArray weight() {
    if (closed) {
      throw new IllegalStateException("a matrix [%d, %d] is used after close".formatted(out, in));
    }
    return Nd4jArray.of(copy == null ? parts.getFirst() : copy);
  }

  DType dtype() {
    return dtype;
  }

  @Override
  public long out() {
    return out;
  }

  @Override
  public long in() {
    return in;
  }

  @Override
  public void refresh() {
    if (frozen) {
      throw new IllegalStateException(
          "a frozen matrix [%d, %d] cannot be refreshed; make it with frozen=false"
              .formatted(out, in));
    }
    if (copy != null) {
      stack(copy);
    }
  }

  @Override
  public void close() {
    if (!closed && copy != null) {
      memory.free(copy);
    }
    closed = true;
  }
}
