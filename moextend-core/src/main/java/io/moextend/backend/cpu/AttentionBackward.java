package io.moextend.backend.cpu;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.AttentionKernels.Attended;
import io.moextend.backend.AttentionKernels.Attention;
import io.moextend.backend.AttentionKernels.AttentionGradients;
import org.jspecify.annotations.Nullable;

/**
 * A task takes some blocks of queries of some heads that read one head of k and v, in order. Where
 * the bias wants its gradient, which sums over the batch, a task takes all sequences in turn.
 */
final class AttentionBackward {
  private static final int QUERIES = 3;
  private static final int KEYS = 4;
  private static final int VALUES = 5;
  private static final int SCORES = 6;
  private static final int SUMS = 7;
  private static final int OUTER = 8;
  private static final int HIDDEN = 9;
  private static final int D_SCORES = 10;

  private final CpuDevice cpu;
  private final AttentionInputs in;
  private final Attention shape;
  private final AttentionProducts products;
  private final CpuArray dOut;
  private final CpuArray out;
  private final CpuArray logSumExp;

  AttentionBackward(CpuDevice cpu, AttentionInputs in, Array dOut, Attended forward) {
    this.cpu = cpu;
    this.in = in;
    this.shape = in.shape;
    this.products = new AttentionProducts(in.type(), shape.headSize(), in.sumWidth());
    this.dOut = CpuArray.of(dOut, in.type());
    this.out = CpuArray.of(forward.out(), in.type());
    this.logSumExp = CpuArray.of(forward.logSumExp(), DType.F32);
    dOut.require("dOut", in.q.shape());
    out.require("forward.out", in.q.shape());
    logSumExp.require("forward.logSumExp", shape.batch(), shape.queryHeads(), shape.queries());
  }

  AttentionGradients run(Arena to, boolean wantBias) {
    CpuArray dQ = CpuDevice.allocate(to, in.type(), in.q.shape());
    CpuArray dK = CpuDevice.allocate(to, in.type(), in.k.shape());
    CpuArray dV = CpuDevice.allocate(to, in.type(), in.v.shape());
    CpuArray dBias =
        wantBias
            ? CpuDevice.allocate(to, DType.F32, shape.queryHeads(), shape.queries(), shape.keys())
            : null;
    if (dBias != null) {
      cpu.forChunks(dBias.size(), (lane, first, n) -> dBias.clear(first, n));
    }
    try (var sums = new KeyGradients(cpu, in)) {
      int stacks = shape.keyHeads() * in.stacks();
      int cuts = sums.cuts().size();
      int together = wantBias ? shape.batch() : 1;
      cpu.workers()
          .run(
              shape.batch() / Math.max(1, together) * stacks * cuts,
              (lane, i) -> {
                // the last first: where causal, its queries see the most keys
                KeyGradients.Cut cut = sums.cuts().get(cuts - 1 - i % cuts);
                int first = i / cuts / stacks * together;
                for (int batch = first; batch < first + together; batch++) {
                  run(lane, batch, i / cuts % stacks, cut, sums, dQ, dBias);
                }
              });
      sums.sumTo(dK, dV);
    }
    return new AttentionGradients(dQ, dK, dV, dBias);
  }

  private void run(
      Lane lane,
      int batch,
      int stack,
      KeyGradients.Cut cut,
      KeyGradients sums,
      CpuArray dQ,
      @Nullable CpuArray dBias) {
    sums.clear(batch, stack, cut);
    long dKeys = sums.dKeys(batch, stack, cut);
    long dValues = sums.dValues(batch, stack, cut);
    for (int b = cut.firstBlock(); b < cut.endBlock(); b++) {
      new Queries(lane, in.block(batch, stack, b), dBias).run(dKeys, dValues, dQ);
    }
  }

  /** A block of queries. */
  private final class Queries {
    private final Lane lane;
    private final QueryBlock block;
    private final @Nullable CpuArray dBias;
    private final int width = in.sumWidth();
    private final float factor = in.factor();
    private final long scores;
    private final long dScores;
    private final long dQueries;
    private final float[] shift;
    private final float[] delta;

    Queries(Lane lane, QueryBlock block, @Nullable CpuArray dBias) {
      this.lane = lane;
      this.block = block;
      this.dBias = dBias;
      scores = lane.scratch(SCORES, block.rows() * AttentionProducts.ROW);
      dScores = lane.scratch(D_SCORES, block.rows() * AttentionProducts.ROW);
      dQueries = lane.scratch(SUMS, 4L * block.rows() * width);
      shift = lane.floats(0, block.rows());
      delta = lane.floats(1, block.rows());
    }

    void run(long dKeys, long dValues, CpuArray dQ) {
      var q = in.queries(lane, QUERIES, in.q, block);
      var outer = in.queries(lane, OUTER, dOut, block);
      Bytes.clear(dQueries, 4L * block.rows() * width);
      forRows(this::prepare);
      int end = in.endKey(block);
      for (int first = in.firstKey(block); first < end; first += AttentionInputs.KEYS) {
        int n = in.keysFrom(first, end);
        if (!in.allHidden(block, first, n)) {
          long key = 4L * first * width;
          add(q, outer, first, n, dKeys + key, dValues + key);
        }
      }
      forRows(
          (head, i, r) ->
              HeadRows.store(
                  dQueries + 4L * r * width,
                  (float) shape.scale(),
                  shape.headSize(),
                  in.type(),
                  dQ.address(in.queryAt(block, head, i))));
    }

    /** delta = Σ dOut·out: what the softmax takes off. */
    private void prepare(int head, int i, int r) {
      long at = in.queryAt(block, head, i);
      shift[r] = (float) (logSumExp.floatAt(in.logAt(block, head, i)) / Math.log(2));
      delta[r] = HeadRows.dot(in.type(), dOut.address(at), out.address(at), shape.headSize());
    }

    private void add(
        AttentionInputs.Rows q,
        AttentionInputs.Rows outer,
        int first,
        int n,
        long dKeys,
        long dValues) {
      Gemm gemm = lane.gemm();
      int rows = block.rows();
      var k = in.keys(lane, KEYS, in.k, block, first, n);
      var v = in.keys(lane, VALUES, in.v, block, first, n);
      products.scores(gemm, q, rows, k, n, scores);
      products.scores(gemm, outer, rows, v, n, dScores);
      long hidden = in.hidden(lane, HIDDEN, block, first, n);
      forRows((head, i, r) -> weigh(head, i, r, first, n, hidden));
      clearPadding();
      products.overQueries(gemm, scores, rows, outer, n, dValues);
      products.overQueries(gemm, dScores, rows, q, n, dKeys);
      products.overKeys(gemm, dScores, rows, k, n, dQueries);
    }

    private void weigh(int head, int i, int r, int first, int n, long hidden) {
      int query = block.first() + i;
      int from = Math.max(0, in.firstKey(query) - first);
      int until = Math.clamp(in.endKey(query) - first, 0, n);
      long row = scores + r * AttentionProducts.ROW;
      long dRow = dScores + r * AttentionProducts.ROW;
      if (shift[r] == Float.NEGATIVE_INFINITY || from >= until) {
        clear(row, dRow, 0, n);
        return;
      }
      ScoreRow.hide(row, from, until);
      float times = factor;
      if (in.bias != null || hidden != 0) {
        long bias = in.bias == null ? 0 : in.bias.address(in.biasAt(block, head, i, first));
        ScoreRow.add(row, from, until, factor, bias, hidden);
        times = 1;
      }
      var slope = new ScoreRow.Slope(times, shift[r], delta[r]);
      if (dBias != null) {
        long to = dBias.address(in.biasAt(block, head, i, first));
        ScoreRow.addTo(to, row, dRow, from, until, slope);
      }
      int low = ScoreRow.down(from);
      int high = ScoreRow.up(until);
      ScoreRow.gradients(row, dRow, low, high, slope, in.type());
      clear(row, dRow, 0, low);
      clear(row, dRow, high, n);
    }

    private void clear(long row, long dRow, int from, int until) {
      if (from < until) {
        int bytes = in.type().bytes();
        Bytes.clear(row + (long) from * bytes, (long) (until - from) * bytes);
        Bytes.clear(dRow + (long) from * bytes, (long) (until - from) * bytes);
      }
    }

    /** The rows that pad a head add nothing to its keys. */
    private void clearPadding() {
      int missing = block.padded() - block.queries();
      for (int h = 0; missing > 0 && h < block.heads(); h++) {
        long offset = ((long) h * block.padded() + block.queries()) * AttentionProducts.ROW;
        Bytes.clear(scores + offset, missing * AttentionProducts.ROW);
        Bytes.clear(dScores + offset, missing * AttentionProducts.ROW);
      }
    }

    private void forRows(RowTask task) {
      for (int h = 0; h < block.heads(); h++) {
        for (int i = 0; i < block.queries(); i++) {
          task.run(h, i, h * block.padded() + i);
        }
      }
    }
  }

  /** What is done for a query of a head, in a row of the tile. */
  @FunctionalInterface
  private interface RowTask {
    void run(int head, int query, int row);
  }
}
