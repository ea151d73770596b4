package io.moextend.backend.cpu;

import io.moextend.array.DType;
import io.moextend.backend.AttentionKernels.Attention;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;

/**
 * Sums of dK and dV while a backward runs: each stack of heads and each cut of its queries has its
 * own, wide, which are added in a fixed order at the end. Cuts come from the shape alone.
 */
final class KeyGradients implements AutoCloseable {
  /** Pieces of work there shall be at least, for as many workers. */
  private static final int PIECES = 16;

  /** Keys a task sums. */
  private static final int KEYS = AttentionInputs.STEP;

  private static final int SUMS = 3;

  private final CpuDevice cpu;
  private final AttentionInputs in;
  private final Attention shape;
  private final List<Cut> cuts;
  private final long pairRows;
  private final CpuArray sums;

  /**
   * @param row where its sums begin among those of a stack of heads
   */
  record Cut(Blocks blocks, long row) {
    private boolean has(int key) {
      return key >= blocks.firstKey && key < blocks.endKey;
    }
  }

  /** Some blocks of queries, and the keys that one of them may see. */
  record Blocks(int first, int end, int firstKey, int endKey) {
    /** Rows of sums, the padding of keys included. */
    private int rows() {
      return Math.max(0, AttentionInputs.padded(endKey) - firstKey);
    }
  }

  KeyGradients(CpuDevice cpu, AttentionInputs in) {
    this.cpu = cpu;
    this.in = in;
    this.shape = in.shape;
    this.cuts = new ArrayList<>();
    long rows = 0;
    for (Blocks blocks : cut(in)) {
      cuts.add(new Cut(blocks, rows));
      rows += blocks.rows();
    }
    this.pairRows = rows;
    long all = Math.multiplyExact((long) shape.batch() * stacks(), 2 * pairRows);
    this.sums = cpu.memory().allocate(DType.F32, all, in.sumWidth());
  }

  /** The longest first, so that no worker is left with one at the end. */
  private static List<Blocks> cut(AttentionInputs in) {
    Attention shape = in.shape;
    int blocks = in.queryBlocks();
    int pairs = Math.max(1, shape.batch() * shape.keyHeads() * in.stacks());
    int wanted = Math.clamp(Math.ceilDiv(PIECES, pairs), 1, Math.max(1, blocks));
    long all = cost(in, 0, blocks);
    var cuts = new ArrayList<Blocks>();
    long done = 0;
    int first = 0;
    for (int b = 0; b < blocks; b++) {
      done += cost(in, b, b + 1);
      if (done * wanted >= all * (cuts.size() + 1)) {
        int firstKey = in.firstKey(in.block(0, 0, first));
        cuts.add(new Blocks(first, b + 1, firstKey, in.endKey(in.block(0, 0, b))));
        first = b + 1;
      }
    }
    cuts.sort(Comparator.comparingLong((Blocks c) -> cost(in, c.first, c.end)).reversed());
    return cuts;
  }

  private static long cost(AttentionInputs in, int first, int end) {
    long cost = 0;
    for (int b = first; b < end; b++) {
      QueryBlock block = in.block(0, 0, b);
      cost += Math.max(0, in.endKey(block) - in.firstKey(block)) + AttentionInputs.STEP;
    }
    return cost;
  }

  List<Cut> cuts() {
    return cuts;
  }

  private int stacks() {
    return shape.keyHeads() * in.stacks();
  }

  private long row() {
    return 4L * in.sumWidth();
  }

  /** Where the sums for dK of a stack's cut would begin with key 0. */
  long dKeys(int batch, int stack, Cut cut) {
    long row = (long) (batch * stacks() + stack) * 2 * pairRows + cut.row;
    return sums.address() + (row - cut.blocks.firstKey) * row();
  }

  long dValues(int batch, int stack, Cut cut) {
    return dKeys(batch, stack, cut) + pairRows * row();
  }

  void clear(int batch, int stack, Cut cut) {
    long first = cut.blocks.firstKey * row();
    Bytes.clear(dKeys(batch, stack, cut) + first, cut.blocks.rows() * row());
    Bytes.clear(dValues(batch, stack, cut) + first, cut.blocks.rows() * row());
  }

  /** Adds up what there is for each key. */
  void sumTo(CpuArray dK, CpuArray dV) {
    int pieces = Math.ceilDiv(shape.keys(), KEYS);
    cpu.workers()
        .run(
            shape.batch() * shape.keyHeads() * pieces,
            (lane, i) -> {
              int batch = i / pieces / shape.keyHeads();
              int head = i / pieces % shape.keyHeads();
              int first = i % pieces * KEYS;
              sumTo(lane, batch, head, first, 0, (float) shape.scale(), dK);
              sumTo(lane, batch, head, first, pairRows * row(), 1, dV);
            });
  }

  /** Cuts begin and end on whole pieces, the padding of keys included. */
  private void sumTo(
      Lane lane, int batch, int head, int first, long offset, float factor, CpuArray to) {
    int n = KEYS * in.sumWidth();
    long total = lane.scratch(SUMS, 4L * n);
    Bytes.clear(total, 4L * n);
    for (int stack = head * in.stacks(); stack < (head + 1) * in.stacks(); stack++) {
      for (Cut cut : cuts) {
        if (cut.has(first)) {
          HeadRows.add(dKeys(batch, stack, cut) + offset + first * row(), n, total);
        }
      }
    }
    float[] factors = lane.floats(0, KEYS);
    Arrays.fill(factors, 0, KEYS, factor);
    long at = ((long) batch * shape.keys() + first) * shape.keyHeads() + head;
    HeadRows.store(
        total,
        factors,
        0,
        Math.min(KEYS, shape.keys() - first),
        shape.headSize(),
        to.dtype(),
        to.address(at * shape.headSize()),
        to.dim(1) * to.dtype().bytes());
  }

  @Override
  public void close() {
    cpu.memory().free(sums);
  }
}
