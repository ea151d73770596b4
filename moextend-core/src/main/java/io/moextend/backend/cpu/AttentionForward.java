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
    private final long scores;
    private final long sums;
    private final long totals;
    private final float[] shift;
    private final float[] largest;

    Running(Lane lane, QueryBlock block) {
      this.lane = lane;
      this.block = block;
      scores = lane.scratch(SCORES, block.rows() * ScoreTile.ROW);
      sums = lane.scratch(SUMS, 4L * block.rows() * width);
      totals = lane.scratch(TOTALS, 4L * block.rows() * Floats.LANES);
      shift = lane.floats(0, block.rows());
      largest = lane.floats(1, block.rows());
    }

    void run(CpuArray out, CpuArray logSumExp) {
      Arrays.fill(shift, 0, block.rows(), Float.NEGATIVE_INFINITY);
      Bytes.clear(totals, 4L * block.rows() * Floats.LANES);
      Bytes.clear(sums, 4L * block.rows() * width);
      var queries = in.queryRows(lane, QUERIES, in.q, block);
      int end = in.endKey(block);
      for (int first = in.firstKey(block); first < end; first += AttentionInputs.KEYS) {
        KeyBlock keys = in.keys(block, first, end);
        if (!in.allHidden(block, keys)) {
          add(queries, keys);
        }
      }
      finish(out, logSumExp);
    }

    /** Adds a block of keys. */
    private void add(AttentionInputs.Rows queries, KeyBlock keys) {
      var k = in.keyRows(lane, KEYS, in.k, block, keys);
      products.scores(lane.gemm(), queries, block.rows(), k, keys.n(), scores);
      var tile = new ScoreTile(scores, block, keys);
      float factor = maxima(tile, keys);
      for (int r = 0; r < block.rows(); r++) {
        float most = largest[r] * factor;
        if (!(most <= shift[r] + SLACK)) { // NaN is to be seen, too
          follow(r, most);
        }
      }
      tile.exponentials(factor, shift, in.type(), totals);
      var v = in.keyRows(lane, VALUES, in.v, block, keys);
      products.overKeys(lane.gemm(), scores, block.rows(), v, keys.n(), sums);
    }

    /** Makes the scores ready; returns what they are still to be multiplied by. */
    private float maxima(ScoreTile tile, KeyBlock keys) {
      AttentionInputs.BiasPlace bias = in.plainBias(block, keys);
      if (bias != null) {
        tile.maximaWithBias(in.factor(), bias, largest);
        return 1;
      }
      float factor = in.prepare(lane, HIDDEN, tile, block, keys);
      tile.maxima(largest);
      return factor;
    }

    /** What was summed of a row follows its new shift. */
    private void follow(int r, float to) {
      if (shift[r] != Float.NEGATIVE_INFINITY) {
        float down = (float) Math.exp((shift[r] - to) * VectorMath.LN_2);
        HeadRows.scale(totals + 4L * r * Floats.LANES, down, Floats.LANES);
        HeadRows.scale(sums + 4L * r * width, down, width);
      }
      shift[r] = to;
    }

    /** A blind query's row of sums becomes the mean of all values. */
    private void mean(int r) {
      float[] mean = lane.floats(2, width);
      BlindQueries.mean(in, block.batch(), block.keyHead(), lane.floats(3, width), mean);
      Floats.store(mean, width, DType.F32, sums + 4L * r * width);
    }

    private void finish(CpuArray out, CpuArray logSumExp) {
      float[] factors = largest;
      HeadRows.totals(totals, block.rows(), factors);
      for (int h = 0; h < block.heads(); h++) {
        long log = in.logAt(block, h);
        for (int i = 0; i < block.queries(); i++) {
          int r = h * block.padded() + i;
          boolean blind = shift[r] == Float.NEGATIVE_INFINITY;
          double sum = shift[r] * VectorMath.LN_2 + Math.log(factors[r]);
          logSumExp.setFloat(log + i, blind ? Float.NEGATIVE_INFINITY : (float) sum);
          factors[r] = blind ? 0 : 1 / factors[r];
          if (blind && in.uniform) {
            mean(r);
            factors[r] = 1;
          }
        }
      }
      in.store(sums, factors, block, out);
    }
  }
}
