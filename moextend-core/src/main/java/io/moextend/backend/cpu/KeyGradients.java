package io.moextend.backend.cpu;

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
  private final long paddedKeys;
  private final long capacity;
  private final long address;

  /** Blocks of queries, the keys that one of them may see, and how many do together. */
  record Cut(int number, int firstBlock, int endBlock, int firstKey, int endKey, long cost) {}

  KeyGradients(CpuDevice cpu, AttentionInputs in) {
    this.cpu = cpu;
    this.in = in;
    this.shape = in.shape;
    this.cuts = cut(in);
    this.paddedKeys = AttentionInputs.padded(shape.keys());
    long sums = Math.multiplyExact((long) shape.batch() * stacks(), cuts.size());
    this.capacity = Math.multiplyExact(sums, 2 * bytes());
    this.address = cpu.memory().take(capacity);
  }

  private static List<Cut> cut(AttentionInputs in) {
    Attention shape = in.shape;
    int blocks = in.queryBlocks();
    int pairs = Math.max(1, shape.batch() * shape.keyHeads() * in.stacks());
    int wanted = Math.clamp(Math.ceilDiv(PIECES, pairs), 1, Math.max(1, blocks));
    long all = 0;
    for (int b = 0; b < blocks; b++) {
      all += cost(in, b);
    }
    var cuts = new ArrayList<Cut>();
    long done = 0;
    long before = 0;
    int first = 0;
    for (int b = 0; b < blocks; b++) {
      done += cost(in, b);
      if (done * wanted >= all * (cuts.size() + 1)) {
        int last = in.block(0, 0, b).first() + in.block(0, 0, b).queries() - 1;
        int firstKey = in.firstKey(in.block(0, 0, first));
        cuts.add(new Cut(cuts.size(), first, b + 1, firstKey, in.endKey(last), done - before));
        first = b + 1;
        before = done;
      }
    }
    // the longest first, so that no worker is left with one at the end; numbers stay
    cuts.sort(Comparator.comparingLong(Cut::cost).reversed());
    return List.copyOf(cuts);
  }

  private static long cost(AttentionInputs in, int block) {
    QueryBlock queries = in.block(0, 0, block);
    return Math.max(0, in.endKey(queries) - in.firstKey(queries)) + AttentionInputs.KEYS / 4;
  }

  List<Cut> cuts() {
    return cuts;
  }

  private int stacks() {
    return shape.keyHeads() * in.stacks();
  }

  private long bytes() {
    return 4L * paddedKeys * in.sumWidth();
  }

  /** Where the sums for dK of a stack's cut begin, those of key 0. */
  long dKeys(int batch, int stack, Cut cut) {
    return address + ((long) (batch * stacks() + stack) * cuts.size() + cut.number) * 2 * bytes();
  }

  long dValues(int batch, int stack, Cut cut) {
    return dKeys(batch, stack, cut) + bytes();
  }

  void clear(int batch, int stack, Cut cut) {
    long row = 4L * in.sumWidth();
    int end = AttentionInputs.padded(cut.endKey);
    if (end > cut.firstKey) {
      long sums = (end - cut.firstKey) * row;
      Bytes.clear(dKeys(batch, stack, cut) + cut.firstKey * row, sums);
      Bytes.clear(dValues(batch, stack, cut) + cut.firstKey * row, sums);
    }
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
              sumTo(lane, batch, head, first, bytes(), 1, dV);
            });
  }

  /** Cuts begin and end on whole pieces, the padding of keys included. */
  private void sumTo(
      Lane lane, int batch, int head, int first, long offset, float factor, CpuArray to) {
    int n = KEYS * in.sumWidth();
    long sums = lane.scratch(SUMS, 4L * n);
    Bytes.clear(sums, 4L * n);
    for (int stack = head * in.stacks(); stack < (head + 1) * in.stacks(); stack++) {
      for (Cut cut : cuts) {
        if (first >= cut.firstKey && first < cut.endKey) {
          HeadRows.add(dKeys(batch, stack, cut) + offset + 4L * first * in.sumWidth(), n, sums);
        }
      }
    }
    float[] factors = lane.floats(0, KEYS);
    Arrays.fill(factors, 0, KEYS, factor);
    long at = ((long) batch * shape.keys() + first) * shape.keyHeads() + head;
    HeadRows.store(
        sums,
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
    cpu.memory().give(address, capacity);
  }
}
