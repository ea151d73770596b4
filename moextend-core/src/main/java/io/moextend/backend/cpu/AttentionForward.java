package io.moextend.backend.cpu;

import io.moextend.array.Arena;
import io.moextend.array.DType;
import io.moextend.backend.AttentionKernels.Attended;
import io.moextend.backend.AttentionKernels.Attention;
import java.util.Arrays;

/** A task takes one block of queries of one head through all keys it may see. */
final class AttentionForward {
  private static final int QUERIES = 3;
  private static final int KEYS = 4;
  private static final int VALUES = 5;
  private static final int SCORES = 6;
  private static final int WEIGHTS = 7;
  private static final int SUMS = 8;

  private final CpuDevice cpu;
  private final AttentionInputs in;
  private final Attention shape;
  private final int block;

  AttentionForward(CpuDevice cpu, AttentionInputs in) {
    this.cpu = cpu;
    this.in = in;
    this.shape = in.shape;
    this.block = in.blockQueries();
  }

  Attended run(Arena to) {
    CpuArray out = CpuDevice.allocate(to, in.type(), in.q.shape());
    CpuArray logSumExp =
        CpuDevice.allocate(to, DType.F32, shape.batch(), shape.queryHeads(), shape.queries());
    int blocks = in.queryBlocks();
    cpu.workers()
        .run(
            Math.multiplyExact(shape.batch() * shape.queryHeads(), blocks),
            (lane, i) -> {
              int batch = i / blocks / shape.queryHeads();
              int head = i / blocks % shape.queryHeads();
              // the last first: where causal, it has the most keys
              int first = (blocks - 1 - i % blocks) * block;
              new Running(lane, batch, head, first).run(out, logSumExp);
            });
    return new Attended(out, logSumExp);
  }

  /** The running softmax of a block of queries. */
  private final class Running {
    private final Lane lane;
    private final int batch;
    private final int head;
    private final int first;
    private final int rows;
    private final int width = shape.headSize();
    private final long scores;
    private final long weights;
    private final long sums;
    private final float[] max;
    private final float[] total;
    private final float[] line;

    Running(Lane lane, int batch, int head, int first) {
      this.lane = lane;
      this.batch = batch;
      this.head = head;
      this.first = first;
      this.rows = Math.min(block, shape.queries() - first);
      int keys = AttentionInputs.KEYS;
      scores = lane.scratch(SCORES, 4L * block * keys);
      weights = lane.scratch(WEIGHTS, (long) block * keys * in.type().bytes());
      sums = lane.scratch(SUMS, 4L * block * width);
      max = lane.floats(0, block);
      total = lane.floats(1, block);
      line = lane.floats(2, width);
    }

    void run(CpuArray out, CpuArray logSumExp) {
      Arrays.fill(max, 0, block, Float.NEGATIVE_INFINITY);
      Arrays.fill(total, 0, block, 0f);
      Bytes.clear(sums, 4L * block * width);
      Bytes.clear(weights, (long) block * AttentionInputs.KEYS * in.type().bytes());
      long firstRow = (long) batch * shape.queries() + first;
      var queries = in.rows(lane, QUERIES, in.q, firstRow, rows, block, head);
      for (int j = 0; j < in.keyBlocks(); j++) {
        if (in.meets(first, j)) {
          add(queries, j);
        }
      }
      for (int i = 0; i < rows; i++) {
        finish(i, out, logSumExp);
      }
    }

    private void add(AttentionInputs.Rows queries, int keyBlock) {
      int from = keyBlock * AttentionInputs.KEYS;
      int keys = Math.min(AttentionInputs.KEYS, shape.keys() - from);
      long row = (long) batch * shape.keys() + from;
      int keyHead = head / in.group();
      var k = in.rows(lane, KEYS, in.k, row, keys, AttentionInputs.KEYS, keyHead);
      var v = in.rows(lane, VALUES, in.v, row, keys, AttentionInputs.KEYS, keyHead);
      lane.gemm().multiply(in.scores(queries, k), queries.address(), k.address(), 0, scores);
      float[] hidden = in.hidden(lane, 3, batch, keyBlock);
      for (int i = 0; i < rows; i++) {
        weigh(i, keyBlock, hidden);
      }
      lane.gemm().multiply(in.overKeys(v), weights, v.address(), 0, sums);
    }

    /** One query's weights for a block of keys; what was summed before follows the new maximum. */
    private void weigh(int i, int keyBlock, float @org.jspecify.annotations.Nullable [] hidden) {
      int query = first + i;
      int start = keyBlock * AttentionInputs.KEYS;
      long row = scores + 4L * i * AttentionInputs.KEYS;
      long to = weights + (long) i * AttentionInputs.KEYS * in.type().bytes();
      float largest =
          ScoreRow.prepare(
              row,
              (float) shape.scale(),
              Math.max(0, in.firstKey(query) - start),
              Math.clamp(in.endKey(query) - start, 0, AttentionInputs.KEYS),
              in.biasAt(head, query, keyBlock),
              hidden);
      float shift = Math.max(max[i], largest);
      if (shift == Float.NEGATIVE_INFINITY) { // nothing seen so far
        Bytes.clear(to, (long) AttentionInputs.KEYS * in.type().bytes());
        return;
      }
      if (shift > max[i]) {
        float factor = (float) Math.exp(max[i] - shift);
        total[i] *= factor;
        long sum = sums + 4L * i * width;
        Floats.load(DType.F32, sum, width, line);
        VectorMath.scale(line, factor, width);
        Floats.store(line, width, DType.F32, sum);
        max[i] = shift;
      }
      total[i] += ScoreRow.exponentials(row, shift, in.type(), to);
    }

    private void finish(int i, CpuArray out, CpuArray logSumExp) {
      long query = (long) batch * shape.queries() + first + i;
      boolean blind = total[i] == 0;
      Floats.load(DType.F32, sums + 4L * i * width, width, line);
      VectorMath.scale(line, blind ? 0 : 1 / total[i], width);
      Floats.store(line, width, out, (query * shape.queryHeads() + head) * width);
      logSumExp.setFloat(
          ((long) batch * shape.queryHeads() + head) * shape.queries() + first + i,
          blind ? Float.NEGATIVE_INFINITY : (float) (max[i] + Math.log(total[i])));
    }
  }
}
