package io.moextend.backend.cpu;

import io.moextend.array.DType;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * x Wᵀ where no matrix has more than one row of x, as when one token follows the other. What counts
 * then is to read every weight once and in order, as fast as memory gives it: so weights are taken
 * row by row and multiplied in F32. From two rows on products by blocks are as fast.
 */
final class OneRow {
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
   * Some rows of weights with the row of x that goes through them.
   *
   * @param weights address of the first
   * @param count how many
   * @param column of the result that the first gives
   */
  private record Piece(long weights, int count, int column, int row) {}

  OneRow(CpuDevice cpu, CpuArray x, CpuArray out, @Nullable CpuArray bias) {
    this.cpu = cpu;
    this.x = x;
    this.out = out;
    this.bias = bias;
    this.inner = CpuDevice.count(x.dim(1));
    this.width = CpuDevice.count(out.dim(1));
    this.dots = new RowDots(x.dtype(), inner);
  }

  /**
   * True where no group has more than a row.
   *
   * @param offsets where each group's rows begin, and the end
   */
  static boolean fits(int[] offsets) {
    for (int g = 1; g < offsets.length; g++) {
      if (offsets[g] - offsets[g - 1] > 1) {
        return false;
      }
    }
    return true;
  }

  /**
   * @param offsets where each group's row is, and the end
   * @param weights each group's; unread where it has no row
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
    long line = Math.max(1, (long) inner * x.dtype().bytes());
    long all = offsets[offsets.length - 1] * (width * line);
    long task = Math.clamp(all / TASKS, SMALLEST_TASK, LARGEST_TASK);
    int each = CpuDevice.count(Math.max(2, task / line));
    var pieces = new ArrayList<Piece>();
    for (int g = 0; g < weights.size(); g++) {
      if (offsets[g + 1] > offsets[g]) {
        for (PlainMatrix.Part part : weights.get(g).parts()) {
          for (int first = 0; first < part.rows(); first += each) {
            long from = part.weights().address((long) first * inner);
            int count = Math.min(each, part.rows() - first);
            pieces.add(new Piece(from, count, part.first() + first, offsets[g]));
          }
        }
      }
    }
    return pieces;
  }

  private CpuArray spread() {
    int rows = CpuDevice.count(x.dim(0));
    CpuArray wide = cpu.memory().allocate(DType.F32, rows, inner);
    for (int r = 0; r < rows; r++) {
      dots.spread(x.address((long) r * inner), wide.address((long) r * inner));
    }
    return wide;
  }

  private void multiply(Lane lane, CpuArray source, Piece p) {
    float[] sums = lane.floats(0, p.count);
    long line = (long) inner * x.dtype().bytes();
    dots.multiply(p.weights, line, p.count, source.address((long) p.row * inner), sums);
    if (bias != null) {
      float[] added = lane.floats(1, p.count);
      Floats.load(bias, p.column, p.count, added);
      VectorMath.addTo(sums, 1, added, p.count);
    }
    Floats.store(sums, p.count, out, (long) p.row * width + p.column);
  }
}
