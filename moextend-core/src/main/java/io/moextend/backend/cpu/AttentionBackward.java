package io.moextend.backend.cpu;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.AttentionKernels.Attended;
import io.moextend.backend.AttentionKernels.Attention;
import io.moextend.backend.AttentionKernels.AttentionGradients;
import org.jspecify.annotations.Nullable;

/**
 * A task takes one head of k and v, with all heads of q that read it, of one sequence: every sum is
 * one worker's, in a fixed order. Where the bias wants its gradient, which sums over the batch, a
 * task takes all sequences in turn.
 */
final class AttentionBackward {
  private static final int QUERIES = 3;
  private static final int KEYS = 4;
  private static final int VALUES = 5;
  private static final int SCORES = 6;
  private static final int WEIGHTS = 7;
  private static final int OUTER = 8;
  private static final int D_WEIGHTS = 9;
  private static final int D_SCORES = 10;
  private static final int D_KEYS = 11;
  private static final int D_VALUES = 12;
  private static final int D_QUERIES = 13;
  private static final int BLOCK = AttentionInputs.KEYS;

  private final CpuDevice cpu;
  private final AttentionInputs in;
  private final Attention shape;
  private final CpuArray dOut;
  private final CpuArray out;
  private final CpuArray logSumExp;
  private final int block;
  private final int width;

  AttentionBackward(CpuDevice cpu, AttentionInputs in, Array dOut, Attended forward) {
    this.cpu = cpu;
    this.in = in;
    this.shape = in.shape;
    this.dOut = CpuArray.of(dOut, in.type());
    this.out = CpuArray.of(forward.out(), in.type());
    this.logSumExp = CpuArray.of(forward.logSumExp(), DType.F32);
    this.block = in.blockQueries();
    this.width = shape.headSize();
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
    int together = wantBias ? shape.batch() : 1;
    cpu.workers()
        .run(
            shape.batch() / Math.max(1, together) * shape.keyHeads(),
            (lane, i) -> {
              int head = i % shape.keyHeads();
              int first = i / shape.keyHeads() * together;
              for (int batch = first; batch < first + together; batch++) {
                new Head(lane, batch, head, dBias).run(dQ, dK, dV);
              }
            });
    return new AttentionGradients(dQ, dK, dV, dBias);
  }

  /** One head of k and v of one sequence. */
  private final class Head {
    private final Lane lane;
    private final int batch;
    private final int keyHead;
    private final @Nullable CpuArray dBias;
    private final int group = in.group();
    private final long headBytes = 4L * in.queryBlocks() * block * width;
    private final long tileBytes = (long) block * BLOCK * in.type().bytes();
    private final long scores;
    private final long weights;
    private final long dWeights;
    private final long dScores;
    private final long dKeys;
    private final long dValues;
    private final long dQueries;
    private final float[] delta;

    Head(Lane lane, int batch, int keyHead, @Nullable CpuArray dBias) {
      this.lane = lane;
      this.batch = batch;
      this.keyHead = keyHead;
      this.dBias = dBias;
      scores = lane.scratch(SCORES, 4L * block * BLOCK);
      dWeights = lane.scratch(D_WEIGHTS, 4L * block * BLOCK);
      weights = lane.scratch(WEIGHTS, tileBytes);
      dScores = lane.scratch(D_SCORES, tileBytes);
      dKeys = lane.scratch(D_KEYS, 4L * BLOCK * width);
      dValues = lane.scratch(D_VALUES, 4L * BLOCK * width);
      dQueries = lane.scratch(D_QUERIES, group * headBytes);
      delta = lane.floats(4, group * shape.queries());
    }

    void run(CpuArray dQ, CpuArray dK, CpuArray dV) {
      Bytes.clear(dQueries, group * headBytes);
      for (int g = 0; g < group; g++) {
        deltas(g);
      }
      for (int j = 0; j < in.keyBlocks(); j++) {
        int from = j * BLOCK;
        int keys = Math.min(BLOCK, shape.keys() - from);
        long row = (long) batch * shape.keys() + from;
        var k = in.rows(lane, KEYS, in.k, row, keys, BLOCK, keyHead);
        var v = in.rows(lane, VALUES, in.v, row, keys, BLOCK, keyHead);
        Bytes.clear(dKeys, 4L * BLOCK * width);
        Bytes.clear(dValues, 4L * BLOCK * width);
        float[] hidden = in.hidden(lane, 3, batch, j);
        for (int g = 0; g < group; g++) {
          for (int first = 0; first < shape.queries(); first += block) {
            if (in.meets(first, j)) {
              add(g, first, j, k, v, hidden);
            }
          }
        }
        store(dKeys, keys, dK, row, keyHead);
        store(dValues, keys, dV, row, keyHead);
      }
      long row = (long) batch * shape.queries();
      for (int g = 0; g < group; g++) {
        store(dQueries + g * headBytes, shape.queries(), dQ, row, keyHead * group + g);
      }
    }

    /** delta = Σ dOut·out of each query: what the softmax takes off. */
    private void deltas(int g) {
      float[] a = lane.floats(0, width);
      float[] b = lane.floats(1, width);
      for (int i = 0; i < shape.queries(); i++) {
        long row = (long) batch * shape.queries() + i;
        long at = (row * shape.queryHeads() + keyHead * group + g) * width;
        Floats.load(dOut, at, width, a);
        Floats.load(out, at, width, b);
        delta[g * shape.queries() + i] = VectorMath.dot(a, b, width);
      }
    }

    private void add(
        int g,
        int first,
        int keyBlock,
        AttentionInputs.Rows k,
        AttentionInputs.Rows v,
        float @Nullable [] hidden) {
      int head = keyHead * group + g;
      int rows = Math.min(block, shape.queries() - first);
      long row = (long) batch * shape.queries() + first;
      var q = in.rows(lane, QUERIES, in.q, row, rows, block, head);
      var outer = in.rows(lane, OUTER, dOut, row, rows, block, head);
      Gemm gemm = lane.gemm();
      gemm.multiply(in.scores(q, k), q.address(), k.address(), 0, scores);
      gemm.multiply(in.scores(outer, v), outer.address(), v.address(), 0, dWeights);
      for (int i = 0; i < rows; i++) {
        weigh(g, head, first, i, keyBlock, hidden);
      }
      if (rows < block) {
        long filled = (long) rows * BLOCK * in.type().bytes();
        Bytes.clear(weights + filled, tileBytes - filled);
        Bytes.clear(dScores + filled, tileBytes - filled);
      }
      gemm.multiply(in.overQueries(outer), weights, outer.address(), 0, dValues);
      gemm.multiply(in.overQueries(q), dScores, q.address(), 0, dKeys);
      long target = dQueries + g * headBytes + 4L * first * width;
      gemm.multiply(in.overKeys(k), dScores, k.address(), 0, target);
    }

    private void weigh(int g, int head, int first, int i, int keyBlock, float @Nullable [] hidden) {
      int query = first + i;
      int from = Math.max(0, in.firstKey(query) - keyBlock * BLOCK);
      int until = Math.clamp(in.endKey(query) - keyBlock * BLOCK, 0, BLOCK);
      long tile = (long) i * BLOCK * in.type().bytes();
      long score = scores + 4L * i * BLOCK;
      long dWeight = dWeights + 4L * i * BLOCK;
      float norm =
          logSumExp.floatAt(((long) batch * shape.queryHeads() + head) * shape.queries() + query);
      if (norm == Float.NEGATIVE_INFINITY || from >= until) {
        Bytes.clear(weights + tile, (long) BLOCK * in.type().bytes());
        Bytes.clear(dScores + tile, (long) BLOCK * in.type().bytes());
        return;
      }
      ScoreRow.prepare(
          score, (float) shape.scale(), from, until, in.biasAt(head, query, keyBlock), hidden);
      ScoreRow.gradients(
          score,
          norm,
          dWeight,
          delta[g * shape.queries() + query],
          (float) shape.scale(),
          in.type(),
          weights + tile,
          dScores + tile,
          dBias != null);
      if (dBias != null) {
        long at = ((long) head * shape.queries() + query) * shape.keys() + (long) keyBlock * BLOCK;
        ScoreRow.add(dBias.address(at), dWeight, from, until);
      }
    }

    private void store(long from, int rows, CpuArray to, long firstRow, int head) {
      float[] line = lane.floats(0, width);
      long stride = to.dim(1);
      for (int r = 0; r < rows; r++) {
        Floats.load(DType.F32, from + 4L * r * width, width, line);
        Floats.store(line, width, to, (firstRow + r) * stride + (long) head * width);
      }
    }
  }
}
