package io.moextend.backend.cpu;

import io.moextend.array.DType;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * x Wᵀ of few rows of x, as when one token follows the other. What counts then is to read every
 * weight once and in order: so weights are taken as they lie, row by row, and multiplied in F32. A
 * row's result does not depend on how many rows there are.
 */
final class FewRows {
  /** Rows of a group beyond which products by blocks are faster. */
  static final int MOST = 4;

  /** Bytes of weights that a task has: its beginning must not count, and tasks must share out. */
  private static final long SMALLEST_TASK = 128 << 10;

  private static final long LARGEST_TASK = 512 << 10;
  private static final int TASKS = 32;

  private final CpuDevice cpu;
  private final CpuArray x;
  private final CpuArray out;
  private final @Nullable CpuArray bias;
  private final int inner;
  private final int width;
  private final RowDots dots;

  /**
   * Some rows of weights with the rows of x that go through them.
   *
   * @param weights address of the first
   * @param count how many
   * @param column of the result that the first gives
   * @param row first row of x
   * @param rows how many
   */
  private record Piece(long weights, int count, int column, int row, int rows) {}

  FewRows(CpuDevice cpu, CpuArray x, CpuArray out, @Nullable CpuArray bias) {
    this.cpu = cpu;
    this.x = x;
    this.out = out;
    this.bias = bias;
    this.inner = CpuDevice.count(x.dim(1));
    this.width = CpuDevice.count(out.dim(1));
    this.dots = new RowDots(x.dtype(), inner);
  }

  /**
   * True where no group has many rows.
   *
   * @param offsets where each group's rows begin, and the end
   */
  static boolean fits(int[] offsets) {
    for (int g = 1; g < offsets.length; g++) {
      if (offsets[g] - offsets[g - 1] > MOST) {
        return false;
      }
    }
    return true;
  }

  /**
   * @param offsets where each group's rows begin, and the end
   * @param weights each group's; unread where it has no rows
   */
  void run(int[] offsets, List<PlainMatrix> weights) {
    List<Piece> pieces = cut(offsets, weights);
    if (pieces.isEmpty()) {
      return;
    }
    CpuArray source = dots.spreads() ? spread() : x;
    try {
      cpu.workers().run(pieces.size(), (lane, i) -> multiply(lane, source, pieces.get(i)));
    } finally {
      if (source != x) {
        cpu.memory().free(source);
      }
    }
  }

  private List<Piece> cut(int[] offsets, List<PlainMatrix> weights) {
    int each = rowsOfATask(offsets, weights);
    var pieces = new ArrayList<Piece>();
    for (int g = 0; g < weights.size(); g++) {
      int rows = offsets[g + 1] - offsets[g];
      if (rows > 0) {
        for (PlainMatrix.Part part : weights.get(g).parts()) {
          for (int first = 0; first < part.rows(); first += each) {
            long from = part.weights().address((long) first * inner);
            int count = Math.min(each, part.rows() - first);
            pieces.add(new Piece(from, count, part.first() + first, offsets[g], rows));
          }
        }
      }
    }
    return pieces;
  }

  private int rowsOfATask(int[] offsets, List<PlainMatrix> weights) {
    long bytes = 0;
    for (int g = 0; g < weights.size(); g++) {
      if (offsets[g + 1] > offsets[g]) {
        bytes += weights.get(g).out() * inner * x.dtype().bytes();
      }
    }
    long task = Math.clamp(bytes / TASKS, SMALLEST_TASK, LARGEST_TASK);
    return CpuDevice.count(Math.max(2, task / Math.max(1, (long) inner * x.dtype().bytes())));
  }

  private CpuArray spread() {
    int rows = CpuDevice.count(x.dim(0));
    CpuArray wide = cpu.memory().allocate(DType.F32, rows, inner);
    for (int r = 0; r < rows; r++) {
      dots.spread(x.address((long) r * inner), wide.address((long) r * inner));
    }
    return wide;
  }

  /** Row i of the first half goes with row i of the second. */
  private void multiply(Lane lane, CpuArray source, Piece p) {
    float[] sums = lane.floats(0, 2 * MOST);
    float[] results = lane.floats(1, p.rows * p.count);
    long line = (long) inner * x.dtype().bytes();
    int half = (p.count + 1) / 2;
    for (int i = 0; i < half; i++) {
      int second = Math.min(half + i, p.count - 1);
      multiply(source, p, p.weights + i * line, p.weights + second * line, sums);
      for (int r = 0; r < p.rows; r++) {
        results[r * p.count + i] = sums[2 * r];
        results[r * p.count + second] = sums[2 * r + 1];
      }
    }
    for (int r = 0; r < p.rows; r++) {
      store(lane, p, r, results);
    }
  }

  /** All rows of x, two by two, with two rows of weights. */
  private void multiply(CpuArray source, Piece p, long weights, long second, float[] sums) {
    long next = 4L * inner;
    long row = source.address((long) p.row * inner);
    int r = 0;
    for (; r + 1 < p.rows; r += 2, row += 2 * next) {
      dots.two(weights, second, row, row + next, sums, 2 * r);
    }
    if (r < p.rows) {
      dots.one(weights, second, row, sums, 2 * r);
    }
  }

  private void store(Lane lane, Piece p, int r, float[] results) {
    float[] line = lane.floats(2, p.count);
    System.arraycopy(results, r * p.count, line, 0, p.count);
    if (bias != null) {
      float[] added = lane.floats(3, p.count);
      Floats.load(bias, p.column, p.count, added);
      VectorMath.addTo(line, 1, added, p.count);
    }
    Floats.store(line, p.count, out, (long) (p.row + r) * width + p.column);
  }
}
