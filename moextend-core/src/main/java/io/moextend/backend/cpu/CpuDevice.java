package io.moextend.backend.cpu;

import io.moextend.array.Arena;
import io.moextend.array.DType;
import io.moextend.array.ShapeException;
import io.moextend.backend.HostShare;
import java.util.Arrays;
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
    long chunks = (size + CHUNK - 1) / CHUNK;
    forRows(
        chunks,
        CHUNK,
        (lane, i) -> {
          long first = (long) i * CHUNK;
          task.run(lane, first, (int) Math.min(CHUNK, size - first));
        });
  }

  /**
   * Runs a task for every stripe of columns, for sums over rows: each stripe adds its rows in
   * order.
   */
  void forStripes(long columns, SpanTask task) {
    int width = 512;
    workers.run(
        count((columns + width - 1) / width),
        (lane, i) -> {
          long first = (long) i * width;
          task.run(lane, first, (int) Math.min(width, columns - first));
        });
  }

  /** Adds one row's stripe to {@code into}. */
  @FunctionalInterface
  interface RowStripe {
    void add(Lane lane, long row, long first, int n, float[] into);
  }

  /**
   * A sum over rows in F32, 64 rows at a time so that long sums stay exact. Tasks have the lane's
   * buffers from 2 on.
   *
   * @return [width] F32
   */
  CpuArray sumOverRows(Arena to, long rows, long width, RowStripe task) {
    CpuArray out = allocate(to, DType.F32, width);
    forStripes(
        width,
        (lane, first, n) -> {
          float[] total = lane.floats(0, n);
          float[] part = lane.floats(1, n);
          Arrays.fill(total, 0, n, 0f);
          for (long block = 0; block < rows; block += 64) {
            Arrays.fill(part, 0, n, 0f);
            for (long row = block; row < Math.min(rows, block + 64); row++) {
              task.add(lane, row, first, n, part);
            }
            VectorMath.addTo(total, 1, part, n);
          }
          Floats.store(total, n, out, first);
        });
    return out;
  }

  /** Writes the values of one array into another of the same size, rounded where types differ. */
  void convert(CpuArray from, CpuArray to) {
    forChunks(
        from.size(),
        (lane, first, n) -> {
          if (from.dtype() == to.dtype()) {
            CpuArray.copy(from, first, to, first, n);
          } else {
            float[] buffer = lane.floats(0, n);
            Floats.load(from, first, n, buffer);
            Floats.store(buffer, n, to, first);
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
