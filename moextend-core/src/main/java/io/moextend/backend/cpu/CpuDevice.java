package io.moextend.backend.cpu;

import io.moextend.array.Arena;
import io.moextend.array.DType;
import io.moextend.array.ShapeException;
import io.moextend.backend.HostShare;
import org.jspecify.annotations.Nullable;

/**
 * What all kernels of this backend work with.
 *
 * <p>Work is cut by its size alone, never by the number of threads, so the same inputs give the
 * same bits on any machine of one kind.
 */
final class CpuDevice implements AutoCloseable {
  /** Elements of a pointwise kernel's buffer: a few of them fit the first-level cache. */
  static final int CHUNK = 2048;

  /** Elements below which it does not pay to wake another thread. */
  private static final long GRAIN = 16 * CHUNK;

  private final CpuMemory memory = new CpuMemory();
  private final OneDnn library;
  private final Workers workers;
  private final @Nullable HostShare share;

  /** A kernel's work on one row. */
  @FunctionalInterface
  interface RowTask {
    void run(Lane lane, int row);
  }

  /** A kernel's work on {@code n} elements from {@code first} on. */
  @FunctionalInterface
  interface SpanTask {
    void run(Lane lane, long first, int n);
  }

  /**
   * @param share where frozen weights are, closed with this; null = in memory of our own
   */
  CpuDevice(OneDnn library, int threads, @Nullable HostShare share) {
    this.share = share;
    this.library = library;
    this.workers = new Workers(threads, i -> new Lane(i, memory, library));
  }

  CpuMemory memory() {
    return memory;
  }

  OneDnn library() {
    return library;
  }

  @Nullable HostShare share() {
    return share;
  }

  Workers workers() {
    return workers;
  }

  /**
   * Runs a task for every row, some rows to a worker at a time.
   *
   * @param width elements a row costs
   */
  void forRows(long rows, long width, RowTask task) {
    int count = count(rows);
    int each = (int) Math.clamp(GRAIN / Math.max(1, width), 1, Math.max(1, count));
    workers.run(
        (count + each - 1) / each,
        (lane, i) -> {
          int end = Math.min(count, (i + 1) * each);
          for (int row = i * each; row < end; row++) {
            task.run(lane, row);
          }
        });
  }

  /** Runs a task for every chunk of at most {@link #CHUNK} elements. */
  void forChunks(long size, SpanTask task) {
    forChunks(size, 1, task);
  }

  /**
   * As {@link #forChunks(long, SpanTask)}.
   *
   * @param cost of an element: as of so many that are read and written once
   */
  void forChunks(long size, int cost, SpanTask task) {
    long chunks = (size + CHUNK - 1) / CHUNK;
    forRows(
        chunks,
        (long) CHUNK * cost,
        (lane, i) -> {
          long end = Math.min(size, (i + 1L) * CHUNK);
          int n;
          for (long first = (long) i * CHUNK; first < end; first += n) {
            n = Operand.span(end - first);
            task.run(lane, first, n);
          }
        });
  }

  /** Writes the values of one array into another of the same size, rounded where types differ. */
  void convert(CpuArray from, CpuArray to) {
    forChunks(
        from.size(),
        (lane, first, n) -> {
          if (from.dtype() == to.dtype()) {
            CpuArray.copy(from, first, to, first, n);
          } else {
            Operand source = Operand.in(lane, 0, from, first, n);
            Operand target = Operand.out(lane, 1, to, first, n);
            if (target.width() == Vectors.F32) {
              Operand wide = source.wide(lane, 2, n);
              Bytes.copy(wide.address(), target.address(), 4L * n);
            } else {
              target.take(source, n);
            }
            target.finish(lane, to, first, n);
          }
        });
  }

  static CpuArray allocate(Arena to, DType dtype, long... shape) {
    return (CpuArray) to.allocate(dtype, shape);
  }

  /** A size as an int; row counts beyond are refused rather than cut. */
  static int count(long n) {
    if (n > Integer.MAX_VALUE) {
      throw new ShapeException(n + " rows; the CPU backend takes up to " + Integer.MAX_VALUE);
    }
    return (int) n;
  }

  @Override
  public void close() {
    workers.close();
    library.close();
    memory.close();
    if (share != null) {
      share.close();
    }
  }
}
