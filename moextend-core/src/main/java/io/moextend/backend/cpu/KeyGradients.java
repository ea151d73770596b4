package io.moextend.backend.cpu;

import io.moextend.array.DType;
import io.moextend.backend.AttentionKernels.Attention;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Sums of dK and dV while a backward runs: each stack of heads and each cut of its queries has its
 * own, wide, which are added in a fixed order at the end. Cuts come from the shape alone. Where one
 * cut of one stack is all that reads a head of keys, its sums are a worker's own and stored at
 * once.
 */
final class KeyGradients implements AutoCloseable {
  /** Pieces of work there shall be at least, for as many workers. */
  private static final int PIECES = 16;

  /** Keys a task sums. */
  private static final int KEYS = AttentionInputs.STEP;

  private static final int SUMS = 3;
  private static final int OWN = 11;

  private final CpuDevice cpu;
  private final AttentionInputs in;
  private final Attention shape;
  private final List<Cut> cuts;
  private final long pairRows;
  private final @Nullable CpuArray sums;

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
    boolean alone =
        in.stacks() == 1 && cuts.size() == 1 && cuts.getFirst().blocks.rows() >= shape.keys();
    this.sums = alone ? null : cpu.memory().allocate(DType.F32, all, in.sumWidth());
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
  long dKeys(Lane lane, int batch, int stack, Cut cut) {
    if (sums == null) {
      return lane.scratch(OWN, 2 * pairRows * row()) - cut.blocks.firstKey * row();
    }
    return sums.address() + start(batch, stack, cut) * row();
  }

  /** The row of key 0 among all sums, be it before those of the cut. */
  private long start(int batch, int stack, Cut cut) {
    return (long) (batch * stacks() + stack) * 2 * pairRows + cut.row - cut.blocks.firstKey;
  }

  long dValues(long dKeys) {
    return dKeys + pairRows * row();
  }

  void clear(long dKeys, Cut cut) {
    long first = cut.blocks.firstKey * row();
    Bytes.clear(dKeys + first, cut.blocks.rows() * row());
    Bytes.clear(dValues(dKeys) + first, cut.blocks.rows() * row());
  }

  /** To be called when a cut is done: stores a worker's own sums. */
  void done(Lane lane, long dKeys, int batch, int head, CpuArray dK, CpuArray dV) {
    if (sums == null) {
      store(lane, dKeys, batch, head, 0, shape.keys(), (float) shape.scale(), dK);
      store(lane, dValues(dKeys), batch, head, 0, shape.keys(), 1, dV);
    }
  }

  /** Adds up what there is for each key, where it was not stored. */
  void sumTo(CpuArray dK, CpuArray dV) {
    if (sums == null) {
      return;
    }
    int pieces = Math.ceilDiv(shape.keys(), KEYS);
    cpu.workers()
        .run(
            shape.batch() * shape.keyHeads() * pieces,
            (lane, i) -> {
              int batch = i / pieces / shape.keyHeads();
              int head = i / pieces % shape.keyHeads();
              int first = i % pieces * KEYS;
              sumTo(lane, sums, batch, head, first, 0, (float) shape.scale(), dK);
              sumTo(lane, sums, batch, head, first, pairRows, 1, dV);
            });
  }

  /**
   * Cuts begin and end on whole pieces, the padding of keys included.
   *
   * @param offset rows from dK's sums
   */
  private void sumTo(
      Lane lane,
      CpuArray sums,
      int batch,
      int head,
      int first,
      long offset,
      float factor,
      CpuArray to) {
    int n = KEYS * in.sumWidth();
    long total = lane.scratch(SUMS, 4L * n);
    Bytes.clear(total, 4L * n);
    for (int stack = head * in.stacks(); stack < (head + 1) * in.stacks(); stack++) {
      for (Cut cut : cuts) {
        if (cut.has(first)) {
          HeadRows.add(
              sums.address() + (start(batch, stack, cut) + offset + first) * row(), n, total);
        }
      }
    }
    int rows = Math.min(KEYS, shape.keys() - first);
    store(lane, total, batch, head, first, rows, factor, to);
  }

  private void store(
      Lane lane, long from, int batch, int head, int first, int rows, float factor, CpuArray to) {
    float[] factors = lane.floats(0, rows);
    Arrays.fill(factors, 0, rows, factor);
    long at = ((long) batch * shape.keys() + first) * shape.keyHeads() + head;
    HeadRows.store(
        from,
        factors,
        0,
        rows,
        shape.headSize(),
        to.dtype(),
        to.address(at * shape.headSize()),
        to.dim(1) * to.dtype().bytes());
  }

  @Override
  public void close() {
    if (sums != null) {
      cpu.memory().free(sums);
    }
  }
}
