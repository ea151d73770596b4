package io.moextend.backend.cpu;

import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.AttentionKernels.Attention;
import java.lang.foreign.ValueLayout;
import org.jspecify.annotations.Nullable;

/** The checked inputs of attention, how queries and keys are cut, and which see which. */
final class AttentionInputs {
  /** Keys of a block at most. */
  static final int KEYS = 256;

  /** Keys of a block are a multiple of this: whole vectors of any width, and few shapes. */
  private static final int STEP = 64;

  /** Heads of a block at most. */
  private static final int HEADS = 4;

  final Attention shape;
  final CpuArray q;
  final CpuArray k;
  final CpuArray v;
  final @Nullable CpuArray keyMask;
  final @Nullable CpuArray bias;

  AttentionInputs(
      Attention shape, Array q, Array k, Array v, @Nullable Array keyMask, @Nullable Array bias) {
    this.shape = shape;
    this.q = CpuArray.of(q);
    this.k = CpuArray.of(k, q.dtype());
    this.v = CpuArray.of(v, q.dtype());
    long queryRows = (long) shape.batch() * shape.queries();
    long keyRows = (long) shape.batch() * shape.keys();
    q.require("q", queryRows, (long) shape.queryHeads() * shape.headSize());
    k.require("k", keyRows, (long) shape.keyHeads() * shape.headSize());
    v.require("v", keyRows, (long) shape.keyHeads() * shape.headSize());
    this.keyMask = keyMask == null ? null : CpuArray.of(keyMask, DType.U8);
    this.bias = bias == null ? null : CpuArray.of(bias, DType.F32);
    if (keyMask != null) {
      keyMask.require("keyMask", shape.batch(), shape.keys());
    }
    if (bias != null) {
      bias.require("bias", shape.queryHeads(), shape.queries(), shape.keys());
    }
  }

  DType type() {
    return q.dtype();
  }

  /** What a score is multiplied by to be an exponent of 2. */
  float factor() {
    return (float) (shape.scale() / Math.log(2));
  }

  /** Floats of a row of sums in scratch memory. */
  int sumWidth() {
    return Floats.padded(shape.headSize());
  }

  /** Blocks of heads that read one head of k and v. */
  int stacks() {
    return Math.ceilDiv(group(), HEADS);
  }

  /** Queries of a block: fewer where there are few, more where heads do not share their keys. */
  int blockQueries() {
    int queries = shape.queries();
    int full = stackHeads() == 1 ? 128 : 64;
    return queries <= 16 ? 16 : queries <= 32 ? 32 : queries <= 64 ? 64 : full;
  }

  int queryBlocks() {
    return Math.ceilDiv(shape.queries(), blockQueries());
  }

  /**
   * @param stack counts the stacks of all key heads
   * @param index of the block of queries
   */
  QueryBlock block(int batch, int stack, int index) {
    int within = stack % stacks() * stackHeads();
    int keyHead = stack / stacks();
    int first = index * blockQueries();
    return new QueryBlock(
        batch,
        keyHead,
        keyHead * group() + within,
        Math.min(stackHeads(), group() - within),
        first,
        Math.min(blockQueries(), shape.queries() - first),
        blockQueries());
  }

  private int stackHeads() {
    return Math.ceilDiv(group(), stacks());
  }

  /** Heads of q that read one head of k. */
  private int group() {
    return shape.queryHeads() / shape.keyHeads();
  }

  /** The first key a query may see. */
  int firstKey(int query) {
    int back = shape.keys() - shape.queries() + query - shape.window() + 1;
    return shape.window() == 0 ? 0 : Math.clamp(back, 0, shape.keys());
  }

  /** One past the last key a query may see. */
  int endKey(int query) {
    int own = shape.keys() - shape.queries() + query + 1;
    return shape.causal() ? Math.clamp(own, 0, shape.keys()) : shape.keys();
  }

  /** The first key some query of the block may see, on whole steps. */
  int firstKey(QueryBlock block) {
    return firstKey(block.first()) / STEP * STEP;
  }

  /** One past the last key some query of the block may see. */
  int endKey(QueryBlock block) {
    return endKey(block.first() + block.queries() - 1);
  }

  /** Keys of a product that begins with a key, padding included. */
  int keysFrom(int first, int end) {
    return Math.min(KEYS, padded(end - first));
  }

  /** A number of keys rounded up to whole steps. */
  static int padded(int keys) {
    return Math.ceilDiv(keys, STEP) * STEP;
  }

  /** Where rows lie, with their distance in elements. */
  record Rows(long address, int stride) {}

  /** A head's rows for {@code n} keys: in place where there are so many, else padded with zeros. */
  Rows keys(Lane lane, int slot, CpuArray from, QueryBlock block, int first, int n) {
    int stride = CpuDevice.count(from.dim(1));
    long row = (long) block.batch() * shape.keys() + first;
    long address = from.address(row * stride + (long) block.keyHead() * shape.headSize());
    int rows = Math.min(n, shape.keys() - first);
    if (rows == n) {
      return new Rows(address, stride);
    }
    int width = from.dtype().bytes();
    long line = (long) shape.headSize() * width;
    long to = lane.scratch(slot, n * line);
    HeadRows.gather(address, (long) stride * width, rows, line, to);
    Bytes.clear(to + rows * line, (n - rows) * line);
    return new Rows(to, shape.headSize());
  }

  /** The rows of a block, from q or what is shaped so: in place or stacked, padded with zeros. */
  Rows queries(Lane lane, int slot, CpuArray from, QueryBlock block) {
    int stride = CpuDevice.count(from.dim(1));
    long address = from.address(queryAt(block, 0, 0));
    if (block.heads() == 1 && block.queries() == block.padded()) {
      return new Rows(address, stride);
    }
    int width = from.dtype().bytes();
    long line = (long) shape.headSize() * width;
    long to = lane.scratch(slot, block.rows() * line);
    for (int h = 0; h < block.heads(); h++) {
      long head = to + h * block.padded() * line;
      HeadRows.gather(address + h * line, (long) stride * width, block.queries(), line, head);
      int missing = block.padded() - block.queries();
      Bytes.clear(head + block.queries() * line, missing * line);
    }
    return new Rows(to, shape.headSize());
  }

  /** The element where a query's row of a head begins in q and what is shaped so. */
  long queryAt(QueryBlock block, int head, int query) {
    long row = (long) block.batch() * shape.queries() + block.first() + query;
    return (row * shape.queryHeads() + block.head() + head) * shape.headSize();
  }

  /** The element of a query of a head in logSumExp. */
  long logAt(QueryBlock block, int head, int query) {
    long heads = (long) block.batch() * shape.queryHeads() + block.head() + head;
    return heads * shape.queries() + block.first() + query;
  }

  /** The element where a query's bias begins. */
  long biasAt(QueryBlock block, int head, int query, int firstKey) {
    long row = (long) (block.head() + head) * shape.queries() + block.first() + query;
    return row * shape.keys() + firstKey;
  }

  /** True where the mask leaves no key of these. */
  boolean allHidden(QueryBlock block, int first, int n) {
    return keyMask != null && seen(block, first, n) == 0;
  }

  /** Address of 0 or -∞ for each of n keys; 0 where none is hidden. */
  long hidden(Lane lane, int slot, QueryBlock block, int first, int n) {
    int there = Math.min(n, shape.keys() - first);
    if (keyMask == null || seen(block, first, n) == there) {
      return 0;
    }
    long to = lane.scratch(slot, 4L * KEYS);
    for (int j = 0; j < n; j++) {
      boolean seen = j < there && maskAt(block, first + j) != 0;
      CpuArray.ALL.set(
          ValueLayout.JAVA_FLOAT_UNALIGNED, to + 4L * j, seen ? 0 : Float.NEGATIVE_INFINITY);
    }
    return to;
  }

  private int seen(QueryBlock block, int first, int n) {
    int seen = 0;
    for (int j = first; j < Math.min(first + n, shape.keys()); j++) {
      seen += maskAt(block, j) != 0 ? 1 : 0;
    }
    return seen;
  }

  private byte maskAt(QueryBlock block, int key) {
    return keyMask == null ? 1 : keyMask.byteAt((long) block.batch() * shape.keys() + key);
  }
}
