package io.moextend.backend.cpu;

import io.moextend.array.DType;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Row groups of x, each through its own packed weights, into the same rows of the result. Panels
 * and row blocks are cut by shape alone; each is one task, and neighbours share a panel.
 */
final class RowProducts {
  private static final int PADDED_ROWS = 1;
  private static final int PADDED_RESULT = 2;

  private final CpuDevice cpu;
  private final CpuArray x;
  private final CpuArray out;
  private final @Nullable CpuArray bias;
  private final int inner;
  private final int width;

  private record Block(PackedSide.Panel panel, int from, int until) {}

  RowProducts(CpuDevice cpu, CpuArray x, CpuArray out, @Nullable CpuArray bias) {
    this.cpu = cpu;
    this.x = x;
    this.out = out;
    this.bias = bias;
    this.inner = CpuDevice.count(x.dim(1));
    this.width = CpuDevice.count(out.dim(1));
  }

  /**
   * @param offsets where each group's rows begin, and the end
   * @param sides each group's weights; null only where the group has no rows
   */
  void run(int[] offsets, List<? extends @Nullable PackedSide> sides) {
    var blocks = new ArrayList<Block>();
    for (int g = 0; g < sides.size(); g++) {
      PackedSide side = sides.get(g);
      if (side != null) {
        cut(offsets[g], offsets[g + 1] - offsets[g], side, blocks);
      }
    }
    cpu.workers().run(blocks.size(), (lane, i) -> multiply(lane, blocks.get(i)));
  }

  private static void cut(int first, int rows, PackedSide side, List<Block> to) {
    int pieces = RowBlocks.pieces(rows);
    for (PackedSide.Panel panel : side.panels()) {
      for (int p = 0; p < pieces; p++) {
        to.add(new Block(panel, first + RowBlocks.start(p), first + RowBlocks.end(rows, p)));
      }
    }
  }

  private void multiply(Lane lane, Block b) {
    int row = b.from;
    for (int rows = RowBlocks.fitting(b.until - row);
        rows > 0;
        rows = RowBlocks.fitting(b.until - row)) {
      multiply(lane, b, row, rows);
      row += rows;
    }
    if (row == b.until) {
      return;
    }
    if (b.until - b.from >= RowBlocks.SMALLEST) {
      // The last few rows again with those before them, which come out as they were.
      multiply(lane, b, b.until - RowBlocks.SMALLEST, RowBlocks.SMALLEST);
    } else {
      multiplyPadded(lane, b);
    }
  }

  private void multiply(Lane lane, Block b, int row, int rows) {
    multiply(
        lane,
        b,
        rows,
        x.address((long) row * inner),
        out.address((long) row * width + b.panel.first()),
        width);
  }

  /** Fewer rows than any primitive takes: through scratch, so only these are read and written. */
  private void multiplyPadded(Lane lane, Block b) {
    int rows = b.until - b.from;
    int columns = b.panel.columns();
    int inBytes = x.dtype().bytes();
    int outBytes = out.dtype().bytes();
    long source = lane.scratch(PADDED_ROWS, (long) RowBlocks.SMALLEST * inner * inBytes);
    long result = lane.scratch(PADDED_RESULT, (long) RowBlocks.SMALLEST * columns * outBytes);
    long filled = (long) rows * inner * inBytes;
    Bytes.copy(x.address((long) b.from * inner), source, filled);
    Bytes.clear(source + filled, (long) (RowBlocks.SMALLEST - rows) * inner * inBytes);
    multiply(lane, b, RowBlocks.SMALLEST, source, result, columns);
    for (int r = 0; r < rows; r++) {
      Bytes.copy(
          result + (long) r * columns * outBytes,
          out.address((long) (b.from + r) * width + b.panel.first()),
          (long) columns * outBytes);
    }
  }

  private void multiply(Lane lane, Block b, int rows, long source, long result, int stride) {
    DType type = x.dtype();
    lane.gemm()
        .multiply(
            new Gemm.Shape(
                rows,
                inner,
                b.panel.columns(),
                type,
                out.dtype(),
                new Gemm.Layout.Plain(inner, 1),
                b.panel.layout(),
                stride,
                bias != null,
                false),
            source,
            b.panel.address(),
            bias == null ? 0 : bias.address(b.panel.first()),
            result);
  }
}
