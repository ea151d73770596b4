package io.moextend.backend.cpu;

import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.AttentionKernels.Attention;
import io.moextend.backend.AttentionKernels.Sight;
import org.jspecify.annotations.Nullable;

/** The checked inputs of attention, how queries and keys are cut, and which see which. */
final class AttentionInputs {
  /** Keys of a block at most. */
  static final int KEYS = 256;

  /** Keys of a block are a multiple of this: whole vectors of any width, and few shapes. */
  static final int STEP = 64;

  /** Heads of a block at most. */
  private static final int HEADS = 4;

  final Attention shape;
  final CpuArray q;
  final CpuArray k;
  final CpuArray v;
  final @Nullable SeenKeys seen;

  /** True where a query that sees no key gets the mean of all values. */
  final boolean uniform;

  final @Nullable CpuArray bias;

  AttentionInputs(
      Attention shape, Array q, Array k, Array v, @Nullable Sight sight, @Nullable Array bias) {
    this.shape = shape;
    this.q = CpuArray.of(q);
    this.k = CpuArray.of(k, q.dtype());
    this.v = CpuArray.of(v, q.dtype());
    long queryRows = (long) shape.batch() * shape.queries();
    long keyRows = (long) shape.batch() * shape.keys();
    q.require("q", queryRows, (long) shape.queryHeads() * shape.headSize());
    k.require("k", keyRows, (long) shape.keyHeads() * shape.headSize());
    v.require("v", keyRows, (long) shape.keyHeads() * shape.headSize());
    this.seen = sight == null ? null : new SeenKeys(shape, sight);
    this.uniform = sight != null && sight.uniformWhenBlind();
    this.bias = bias == null ? null : CpuArray.of(bias, DType.F32);
    if (bias != null) {
      bias.require("bias", shape.queryHeads(), shape.queries(), shape.keys());
    }
  }

  DType type() {
    return q.dtype();
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
    int full = stackHeads() > 1 ? 64 : manyAtOnce() ? 256 : 128;
    return queries <= 16 ? 16 : queries <= 32 ? 32 : queries <= 64 ? 64 : full;
  }

  /** True where larger blocks are neither padded nor see fewer of their keys. */
  private boolean manyAtOnce() {
    return !shape.causal() && shape.window() == 0 && Math.ceilDiv(shape.queries(), 128) % 2 == 0;
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
  int group() {
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

  /** The block of keys that begins with a key, before {@code end}. */
  KeyBlock keys(QueryBlock block, int first, int end) {
    int n = Math.min(KEYS, padded(end - first));
    int there = Math.min(n, shape.keys() - first);
    int own = shape.keys() - shape.queries() + block.first() - first;
    return new KeyBlock(
        first,
        n,
        there,
        block.queries(),
        shape.window() == 0 ? 0 : own - shape.window() + 1,
        shape.window() == 0 ? 0 : 1,
        shape.causal() ? own + 1 : there,
        shape.causal() ? 1 : 0);
  }

  /** A number of keys rounded up to whole steps. */
  static int padded(int keys) {
    return Math.ceilDiv(keys, STEP) * STEP;
  }

  /** Where rows lie, with their distance in elements. */
  record Rows(long address, int stride) {}

  /** The rows of a block of k or v: in place where they are whole, else padded with zeros. */
  Rows keyRows(Lane lane, int slot, CpuArray from, QueryBlock block, KeyBlock keys) {
    int stride = CpuDevice.count(from.dim(1));
    long row = (long) block.batch() * shape.keys() + keys.first();
    long address = from.address(row * stride + (long) block.keyHead() * shape.headSize());
    if (keys.there() == keys.n()) {
      return new Rows(address, stride);
    }
    int width = from.dtype().bytes();
    long line = (long) shape.headSize() * width;
    long to = lane.scratch(slot, keys.n() * line);
    HeadRows.gather(address, (long) stride * width, keys.there(), 1, line, to, 0);
    Bytes.clear(to + keys.there() * line, (keys.n() - keys.there()) * line);
    return new Rows(to, shape.headSize());
  }

  /** The rows of a block, from q or what is shaped so: in place or stacked, padded with zeros. */
  Rows queryRows(Lane lane, int slot, CpuArray from, QueryBlock block) {
    int stride = CpuDevice.count(from.dim(1));
    long address = from.address(queryAt(block, 0));
    if (block.heads() == 1 && block.queries() == block.padded()) {
      return new Rows(address, stride);
    }
    int width = from.dtype().bytes();
    long line = (long) shape.headSize() * width;
    long to = lane.scratch(slot, block.rows() * line);
    long apart = block.padded() * line;
    HeadRows.gather(address, queryStride(), block.queries(), block.heads(), line, to, apart);
    for (int h = 0; h < block.heads(); h++) {
      int missing = block.padded() - block.queries();
      Bytes.clear(to + h * apart + block.queries() * line, missing * line);
    }
    return new Rows(to, shape.headSize());
  }

  /** Writes factor·row of a block's rows of sums into what is shaped as q. */
  void store(long sums, float[] factors, QueryBlock block, CpuArray to) {
    long row = 4L * sumWidth();
    for (int h = 0; h < block.heads(); h++) {
      int first = h * block.padded();
      HeadRows.store(
          sums + first * row,
          factors,
          first,
          block.queries(),
          shape.headSize(),
          type(),
          to.address(queryAt(block, h)),
          queryStride());
    }
  }

  /** Bytes from query to query in q and what is shaped so. */
  long queryStride() {
    return q.dim(1) * type().bytes();
  }

  /** The element where the first query of a head begins in q and what is shaped so. */
  long queryAt(QueryBlock block, int head) {
    long row = (long) block.batch() * shape.queries() + block.first();
    return (row * shape.queryHeads() + block.head() + head) * shape.headSize();
  }

  /** The element of the first query of a head in logSumExp. */
  long logAt(QueryBlock block, int head) {
    long heads = (long) block.batch() * shape.queryHeads() + block.head() + head;
    return heads * shape.queries() + block.first();
  }

  /** A bias' place: the first query's with the first key, and the bytes from head and query on. */
  record BiasPlace(long address, long headBytes, long queryBytes) {
    long row(int head, int query) {
      return address + head * headBytes + query * queryBytes;
    }
  }

  /**
   * @param of bias, or what is shaped so
   */
  BiasPlace biasAt(CpuArray of, QueryBlock block, KeyBlock keys) {
    DistanceBias made = DistanceBias.of(of);
    if (made != null) {
      long first = made.first(block.head()) + 4L * (keys.first() - block.first());
      return new BiasPlace(first, 4 * made.distances(), -4);
    }
    long row = (long) block.head() * shape.queries() + block.first();
    return new BiasPlace(
        of.address(row * shape.keys() + keys.first()),
        4L * shape.queries() * shape.keys(),
        4L * shape.keys());
  }

  /** True where no key is left to see. */
  boolean allHidden(QueryBlock block, KeyBlock keys) {
    return seen != null && seen.allHidden(block, keys);
  }

  /** The element where a key's row of a head begins in k, v and what is shaped so. */
  long keyAt(int batch, int keyHead, int key) {
    long row = (long) batch * shape.keys() + key;
    return (row * shape.keyHeads() + keyHead) * shape.headSize();
  }

  /** What scores are multiplied by to be exponents of 2. */
  float factor() {
    return (float) (shape.scale() / VectorMath.LN_2);
  }

  /**
   * The bias of a block in which all queries see all keys, to be added with what is done next; null
   * where there is none, or {@link #prepare} has something to hide.
   */
  @Nullable BiasPlace plainBias(QueryBlock block, KeyBlock keys) {
    boolean plain =
        bias != null
            && factor() > 0
            && keys.allSeeAll()
            && (seen == null || seen.hidesNothing(block, keys));
    return plain && bias != null ? biasAt(bias, block, keys) : null;
  }

  /**
   * Hides what a query must not see and adds the bias.
   *
   * @return what scores are still to be multiplied by to be exponents of 2
   */
  float prepare(Lane lane, int slot, ScoreTile tile, QueryBlock block, KeyBlock keys) {
    float factor = factor();
    if (bias != null) {
      tile.addBias(factor, biasAt(bias, block, keys));
      factor = 1;
    }
    long hidden = seen == null ? 0 : seen.hidden(lane, slot, block, keys);
    if (hidden != 0 || factor <= 0) {
      tile.add(factor, hidden);
      factor = 1;
    }
    if (seen != null) {
      seen.hide(lane, slot, tile, block, keys);
    }
    tile.hide();
    return factor;
  }
}
