package io.moextend.backend;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.array.Memory;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A device: its memory and the few fused kernels a model needs. Results are allocated in the arena
 * given first; inputs are never written unless a method's name says so ({@code …Into}). Calls may
 * be asynchronous; {@link #copyOut} and {@link #synchronize} wait for those before them. The same
 * inputs give the same bits.
 *
 * <p>In all kernels: T tokens, H hidden width, E experts, k chosen per token, R rows. "wide" is
 * {@link DType#wide()} of the compute type.
 */
public interface Backend
    extends MatrixKernels,
        NormKernels,
        ElementKernels,
        RowKernels,
        AttentionKernels,
        RoutingKernels,
        LossKernels,
        UpdateKernels,
        AdafactorKernels,
        AdapterKernels,
        HostCopies,
        AutoCloseable {
  /** "cpu", "nd4j", "cuda". */
  String name();

  /** What runs the kernels, in words: instruction set, library, threads or card. */
  String device();

  /** The types products may be computed in. */
  Set<DType> computeTypes();

  Memory memory();

  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // handed to the caller, who closes it
  default Arena arena(String name) {
    return new Arena(name, memory());
  }

  /**
   * Copies {@code from}, little-endian elements of the array's own type, into {@code to}; sizes
   * must agree.
   */
  void copyIn(Array to, MemorySegment from);

  /** Copies an array's elements, little-endian, to the host, once all earlier calls are done. */
  void copyOut(Array from, MemorySegment to);

  /**
   * An array over memory that somebody else owns and keeps (a mapped file): no copy where the
   * device can read it in place, else a copy in {@code arena}. Read-only.
   */
  Array wrap(Arena arena, DType dtype, MemorySegment memory, long... shape);

  /**
   * An array over memory that somebody else owns and keeps, to be written too: what a kernel writes
   * is there for the owner, and the other way round. Never a copy.
   *
   * @return null where the device does not work on this memory in place; {@link #copyIn} and {@link
   *     #copyOut} then have to do
   * @throws IllegalArgumentException where the memory is read-only
   */
  default @Nullable Array over(DType dtype, MemorySegment memory, long... shape) {
    return null;
  }

  /**
   * Frozen values rounded to another type; once for all processes of this host where the backend
   * was opened with {@link BackendProvider.Options#share}. Not to be written.
   *
   * @param identity of the values, the same in all processes: the tensor and the file it is of
   */
  default Array frozenCast(Arena arena, Array from, DType dtype, String identity) {
    return cast(arena, from, dtype);
  }

  /**
   * x Wᵀ (+ bias) + what is added to some of its columns, rounded once or oftener.
   *
   * @param x [R, in], of the matrix' type; @return [R, out], as x
   */
  default Array productWith(
      Arena to, Array x, Matrix w, @Nullable Array bias, List<Addend> addends) {
    Array y = product(to, x, w, bias, x.dtype());
    for (Addend addend : addends) {
      Array delta = productTransposed(to, addend.h(), addend.b());
      addColumnsInto(y, addend.from(), delta);
      to.free(delta);
    }
    return y;
  }

  /**
   * first + Σ dY W, rounded once or oftener.
   *
   * @param first [R, in], of the matrices' type, or null
   * @param shares one or more, of one R and one in
   * @return [R, in], of the matrices' type
   */
  default Array sumTransposed(Arena to, @Nullable Array first, List<Share> shares) {
    Array sum = first;
    for (Share share : shares) {
      Array product = productTransposed(to, share.dY(), share.w());
      Array before = sum;
      sum = before == null ? product : add(to, before, product);
      if (before != null) {
        to.free(product);
        if (before != first) {
          to.free(before);
        }
      }
    }
    return Objects.requireNonNull(sum, "no shares");
  }

  /**
   * A bias of attention that follows from the distance of key and query alone: of query i and key j
   * what stands at j - i + queries - 1. Not to be written.
   *
   * @param byDistance [heads, queries + keys - 1]
   * @return [heads, queries, keys]
   */
  default Array biasByDistance(Arena arena, Array byDistance, int queries, int keys) {
    int heads = (int) byDistance.dim(0);
    int distances = queries + keys - 1;
    byDistance.require("byDistance", heads, distances);
    int[] places = new int[Math.multiplyExact(queries, keys)];
    Arrays.setAll(places, at -> at % keys - at / keys + queries - 1);
    Array pairs = ints(arena, places, places.length);
    Array bias = arena.allocate(byDistance.dtype(), heads, queries, keys);
    for (long h = 0; h < heads; h++) {
      Array column = byDistance.slice(h, h + 1).reshape(distances, 1);
      Array taken = gatherRows(arena, column, pairs);
      copyInto(bias.slice(h, h + 1).reshape(taken.shape()), taken);
      arena.free(taken);
    }
    arena.free(pairs);
    return bias;
  }

  /** Waits until everything asked for is done. */
  void synchronize();

  @Override
  void close();
}
