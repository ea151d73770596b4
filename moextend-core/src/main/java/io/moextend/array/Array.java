package io.moextend.array;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * A dense row-major array in some backend's memory. Opaque: only the backend that made it reads it;
 * host code gets values by an explicit copy. Its memory belongs to the {@link Arena} it was
 * allocated in, or to whoever mapped it.
 */
public abstract class Array {
  private final DType dtype;
  private final long[] shape;
  private final long size;
  private final @Nullable Array base;

  /**
   * @param base the array whose memory this one shows, null where it has its own
   */
  protected Array(DType dtype, long[] shape, @Nullable Array base) {
    this.dtype = dtype;
    this.shape = shape.clone();
    this.size = sizeOf(shape);
    this.base = base;
  }

  /**
   * Elements of an array of {@code shape}; throws where one is negative or the product overflows.
   */
  public static long sizeOf(long... shape) {
    long size = 1;
    for (long n : shape) {
      if (n < 0) {
        throw new ShapeException("negative size in shape " + Arrays.toString(shape));
      }
      size = Math.multiplyExact(size, n);
    }
    return size;
  }

  public final DType dtype() {
    return dtype;
  }

  /** A copy of the sizes, outermost first. */
  public final long[] shape() {
    return shape.clone();
  }

  public final int rank() {
    return shape.length;
  }

  /** Size of one axis; negative counts from the last. */
  public final long dim(int axis) {
    return shape[axis < 0 ? shape.length + axis : axis];
  }

  /** Number of elements. */
  public final long size() {
    return size;
  }

  public final long bytes() {
    return size * dtype.bytes();
  }

  /** The array that owns the memory this one shows: itself, unless it is a view. */
  public final Array base() {
    return base == null ? this : base;
  }

  /** False once its memory was given back; a kernel refuses such an array. */
  public abstract boolean isLive();

  /** The same elements under another shape; shares memory. */
  public abstract Array reshape(long... shape);

  /** Elements from (inclusive) to (exclusive) along the first axis; shares memory. */
  public abstract Array slice(long from, long to);

  /** Throws unless this array has the given shape; -1 stands for any size. */
  public final Array require(String name, long... wanted) {
    boolean same = wanted.length == shape.length;
    for (int i = 0; same && i < wanted.length; i++) {
      same = wanted[i] < 0 || wanted[i] == shape[i];
    }
    if (!same) {
      throw new ShapeException(
          "%s has shape %s, wanted %s"
              .formatted(name, Arrays.toString(shape), Arrays.toString(wanted)));
    }
    return this;
  }

  @Override
  public final String toString() {
    return dtype + Arrays.toString(shape) + (isLive() ? "" : " (freed)");
  }
}
