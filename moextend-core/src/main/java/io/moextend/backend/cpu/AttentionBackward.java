package io.moextend.backend.cpu;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.AttentionKernels.Attended;
import io.moextend.backend.AttentionKernels.Attention;
import io.moextend.backend.AttentionKernels.AttentionGradients;
import java.util.Arrays;
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
      int together = wantBias ? shape.batch() : 1;
      int pairs = shape.batch() / Math.max(1, together) * stacks;
      cpu.workers()
          .run(
              pairs * sums.cuts().size(),
              (lane, i) -> {
                KeyGradients.Cut cut = sums.cuts().get(i / pairs);
                int first = i % pairs / stacks * together;
                for (int batch = first; batch < first + together; batch++) {
                  int stack = i % stacks;
                  long dKeys = sums.dKeys(lane, batch, stack, cut);
                  sums.clear(dKeys, cut);
                  run(lane, batch, stack, cut, dKeys, sums.dValues(dKeys), dQ, dBias);
                  sums.done(lane, dKeys, batch, stack, dK, dV); // there head and stack are one
                }
              });
      sums.sumTo(dK, dV);
    }
    if (in.uniform) {
      BlindQueries.spread(cpu, in, dOut, logSumExp, dV);
    }
    return new AttentionGradients(dQ, dK, dV, dBias);
  }

  private void run(
      Lane lane,
      int batch,
      int stack,
      KeyGradients.Cut cut,
      long dKeys,
      long dValues,
      CpuArray dQ,
      @Nullable CpuArray dBias) {
    for (int b = cut.blocks().first(); b < cut.blocks().end(); b++) {
      new Queries(lane, in.block(batch, stack, b), dBias).run(dKeys, dValues, dQ);
    }
  }

  /** A block of queries. */
  private final class Queries {
    private final Lane lane;
    private final QueryBlock block;
    private final @Nullable CpuArray dBias;
    private final int width = in.sumWidth();
    private final long scores;
    private final long dScores;
    private final long dQueries;
    private final float[] shift;
    private final float[] delta;

    Queries(Lane lane, QueryBlock block, @Nullable CpuArray dBias) {
      this.lane = lane;
      this.block = block;
      this.dBias = dBias;
      scores = lane.scratch(SCORES, block.rows() * ScoreTile.ROW);
      dScores = lane.scratch(D_SCORES, block.rows() * ScoreTile.ROW);
      dQueries = lane.scratch(SUMS, 4L * block.rows() * width);
      shift = lane.floats(0, block.rows());
      delta = lane.floats(1, block.rows());
    }

    void run(long dKeys, long dValues, CpuArray dQ) {
      var q = in.queryRows(lane, QUERIES, in.q, block);
      var outer = in.queryRows(lane, OUTER, dOut, block);
      Bytes.clear(dQueries, 4L * block.rows() * width);
      Arrays.fill(shift, 0, block.rows(), Float.NEGATIVE_INFINITY);
      for (int h = 0; h < block.heads(); h++) {
        prepare(h);
      }
      int end = in.endKey(block);
      for (int first = in.firstKey(block); first < end; first += AttentionInputs.KEYS) {
        KeyBlock keys = in.keys(block, first, end);
        if (!in.allHidden(block, keys)) {
          long key = 4L * first * width;
          add(q, outer, keys, dKeys + key, dValues + key);
        }
      }
      Arrays.fill(delta, 0, block.rows(), (float) shape.scale());
      in.store(dQueries, delta, block, dQ);
    }

    /** delta = Σ dOut·out: what the softmax takes off. */
    private void prepare(int head) {
      int first = head * block.padded();
      long log = in.logAt(block, head);
      for (int i = 0; i < block.queries(); i++) {
        shift[first + i] = (float) (logSumExp.floatAt(log + i) * (1 / VectorMath.LN_2));
      }
      long at = in.queryAt(block, head);
      HeadRows.dots(
          in.type(),
          dOut.address(at),
          out.address(at),
          in.queryStride(),
          block.queries(),
          shape.headSize(),
          delta,
          first);
    }

    private void add(
        AttentionInputs.Rows q,
        AttentionInputs.Rows outer,
        KeyBlock keys,
        long dKeys,
        long dValues) {
      Gemm gemm = lane.gemm();
      int rows = block.rows();
      int n = keys.n();
      var k = in.keyRows(lane, KEYS, in.k, block, keys);
      var v = in.keyRows(lane, VALUES, in.v, block, keys);
      products.scores(gemm, q, rows, k, n, scores);
      products.scores(gemm, outer, rows, v, n, dScores);
      var tile = new ScoreTile(scores, block, keys);
      var dTile = new ScoreTile(dScores, block, keys);
      gradients(tile, dTile, keys);
      products.overQueries(gemm, scores, rows, outer, n, dValues);
      products.overQueries(gemm, dScores, rows, q, n, dKeys);
      products.overKeys(gemm, dScores, rows, k, n, dQueries);
    }

    /** Scores become probabilities, and dTile their gradients. */
    private void gradients(ScoreTile tile, ScoreTile dTile, KeyBlock keys) {
      boolean apart = dBias != null || in.type() != DType.BF16;
      AttentionInputs.BiasPlace bias = apart ? null : in.plainBias(block, keys);
      if (bias != null) {
        ScoreGradients.withBias(tile, dTile, in.factor(), bias, shift, delta);
        return;
      }
      float factor = in.prepare(lane, HIDDEN, tile, block, keys);
      if (dBias != null) {
        if (factor != 1) {
          tile.add(factor, 0);
          factor = 1;
        }
        ScoreGradients.bias(tile, dTile, shift, delta, in.biasAt(dBias, block, keys));
      }
      ScoreGradients.of(tile, dTile, factor, shift, delta, in.type());
    }
  }
}
