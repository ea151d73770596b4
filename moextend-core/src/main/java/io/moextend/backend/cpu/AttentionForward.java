package io.moextend.backend.cpu;

import io.moextend.array.Arena;
import io.moextend.array.DType;
import io.moextend.backend.AttentionKernels.Attended;
import io.moextend.backend.AttentionKernels.Attention;
import java.util.Arrays;

/** A task takes one block of queries of some heads through all keys they may see. */
final class AttentionForward {
  private static final int QUERIES = 3;
  private static final int KEYS = 4;
  private static final int VALUES = 5;
  private static final int SCORES = 6;
  private static final int SUMS = 7;
  private static final int TOTALS = 8;
  private static final int HIDDEN = 9;

  /**
   * How far beyond a row's shift a score may lie before what was summed must follow, as an exponent
   * of 2: sums are wide and may grow so much without loss.
   */
  private static final float SLACK = 8;

  private final CpuDevice cpu;
  private final AttentionInputs in;
  private final Attention shape;
  private final AttentionProducts products;

  AttentionForward(CpuDevice cpu, AttentionInputs in) {
    this.cpu = cpu;
    this.in = in;
    this.shape = in.shape;
    this.products = new AttentionProducts(in.type(), shape.headSize(), in.sumWidth());
  }

  Attended run(Arena to) {
    CpuArray out = CpuDevice.allocate(to, in.type(), in.q.shape());
    CpuArray logSumExp =
        CpuDevice.allocate(to, DType.F32, shape.batch(), shape.queryHeads(), shape.queries());
    int blocks = in.queryBlocks();
    int stacks = shape.keyHeads() * in.stacks();
    cpu.workers()
        .run(
            Math.multiplyExact(shape.batch() * stacks, blocks),
            (lane, i) -> {
              int stack = i / blocks;
              // the last first: where causal, it has the most keys
              int index = blocks - 1 - i % blocks;
              var block = in.block(stack / stacks, stack % stacks, index);
              new Running(lane, block).run(out, logSumExp);
            });
    return new Attended(out, logSumExp);
  }

  /** The running softmax of a block. */
  private final class Running {
    private final Lane lane;
    private final QueryBlock block;
    private final int width = in.sumWidth();
    private final float factor = in.factor();
    private final long scores;
    private final long sums;
    private final long totals;
    private final float[] shift;

    Running(Lane lane, QueryBlock block) {
      this.lane = lane;
      this.block = block;
      scores = lane.scratch(SCORES, block.rows() * AttentionProducts.ROW);
      sums = lane.scratch(SUMS, 4L * block.rows() * width);
      totals = lane.scratch(TOTALS, 4L * block.rows() * Floats.LANES);
      shift = lane.floats(0, block.rows());
    }

    void run(CpuArray out, CpuArray logSumExp) {
      Arrays.fill(shift, 0, block.rows(), Float.NEGATIVE_INFINITY);
      Bytes.clear(totals, 4L * block.rows() * Floats.LANES);
      Bytes.clear(sums, 4L * block.rows() * width);
      var queries = in.queries(lane, QUERIES, in.q, block);
      int end = in.endKey(block);
      for (int first = in.firstKey(block); first < end; first += AttentionInputs.KEYS) {
        int n = in.keysFrom(first, end);
        if (!in.allHidden(block, first, n)) {
          add(queries, first, n);
        }
      }
      for (int h = 0; h < block.heads(); h++) {
        for (int i = 0; i < block.queries(); i++) {
          finish(h, i, out, logSumExp);
        }
      }
    }

    private void add(AttentionInputs.Rows queries, int first, int n) {
      var k = in.keys(lane, KEYS, in.k, block, first, n);
      products.scores(lane.gemm(), queries, block.rows(), k, n, scores);
      long hidden = in.hidden(lane, HIDDEN, block, first, n);
      for (int h = 0; h < block.heads(); h++) {
        for (int i = 0; i < block.queries(); i++) {
          weigh(h, i, first, n, hidden);
        }
      }
      var v = in.keys(lane, VALUES, in.v, block, first, n);
      products.overKeys(lane.gemm(), scores, block.rows(), v, n, sums);
    }

    /** One query's weights for a block of keys, in place of its scores. */
    private void weigh(int head, int i, int first, int n, long hidden) {
      int query = block.first() + i;
      int from = Math.max(0, in.firstKey(query) - first);
      int until = Math.clamp(in.endKey(query) - first, 0, n);
      int r = head * block.padded() + i;
      long row = scores + r * AttentionProducts.ROW;
      int low = ScoreRow.down(from);
      int high = ScoreRow.up(until);
      if (from >= until) {
        clear(row, 0, n);
        return;
      }
      ScoreRow.hide(row, from, until);
      float scale = factor;
      if (in.bias != null || hidden != 0 || factor < 0) {
        long bias = in.bias == null ? 0 : in.bias.address(in.biasAt(block, head, i, first));
        ScoreRow.add(row, from, until, factor, bias, hidden);
        scale = 1;
      }
      float largest = ScoreRow.max(row, low, high) * scale;
      if (largest == Float.NEGATIVE_INFINITY) {
        clear(row, 0, n);
        return;
      }
      if (largest > shift[r] + SLACK) {
        follow(r, largest);
      }
      ScoreRow.exponentials(
          row, low, high, scale, shift[r], in.type(), totals + 4L * r * Floats.LANES);
      clear(row, 0, low);
      clear(row, high, n);
    }

    /** What was summed of a row follows its new shift. */
    private void follow(int r, float largest) {
      if (shift[r] != Float.NEGATIVE_INFINITY) {
        float down = (float) Math.exp((shift[r] - largest) * Math.log(2));
        HeadRows.scale(totals + 4L * r * Floats.LANES, down, Floats.LANES);
        HeadRows.scale(sums + 4L * r * width, down, width);
      }
      shift[r] = largest;
    }

    private void clear(long row, int from, int until) {
      if (from < until) {
        int bytes = in.type().bytes();
        Bytes.clear(row + (long) from * bytes, (long) (until - from) * bytes);
      }
    }

    private void finish(int head, int i, CpuArray out, CpuArray logSumExp) {
      int r = head * block.padded() + i;
      float total = HeadRows.total(totals + 4L * r * Floats.LANES);
      boolean blind = shift[r] == Float.NEGATIVE_INFINITY;
      long to = out.address(in.queryAt(block, head, i));
      HeadRows.store(sums + 4L * r * width, blind ? 0 : 1 / total, shape.headSize(), in.type(), to);
      float log = (float) (shift[r] * Math.log(2) + Math.log(total));
      logSumExp.setFloat(in.logAt(block, head, i), blind ? Float.NEGATIVE_INFINITY : log);
    }
  }
}
