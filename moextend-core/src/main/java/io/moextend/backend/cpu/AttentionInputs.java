package io.moextend.backend.cpu;

import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.AttentionKernels.Attention;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** The checked inputs of attention, and which block of queries sees which block of keys. */
final class AttentionInputs {
  /** Keys of a block: whole vectors of any width. */
  static final int KEYS = 64;

  private static final int QUERIES = 64;

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

  /** Queries of a block: fewer where there are few, as in generation. */
  int blockQueries() {
    return shape.queries() <= RowBlocks.SMALLEST ? RowBlocks.SMALLEST : QUERIES;
  }

  int queryBlocks() {
    return (shape.queries() + blockQueries() - 1) / blockQueries();
  }

  int keyBlocks() {
    return (shape.keys() + KEYS - 1) / KEYS;
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

  /** True where some query of the block may see some key of the block. */
  boolean meets(int firstQuery, int keyBlock) {
    int lastQuery = Math.min(shape.queries(), firstQuery + blockQueries()) - 1;
    return firstKey(firstQuery) < Math.min(shape.keys(), (keyBlock + 1) * KEYS)
        && endKey(lastQuery) > keyBlock * KEYS;
  }

  /** Where a block of one head's rows lies, with the distance of rows in elements. */
  record Rows(long address, int stride) {}

  /**
   * A block of rows of one head: in place where it is whole, else a copy padded with zero rows.
   *
   * @param first row of the array
   * @param rows how many there are
   * @param wanted how many a block has
   */
  Rows rows(Lane lane, int slot, CpuArray from, long first, int rows, int wanted, int head) {
    int stride = CpuDevice.count(from.dim(1));
    long address = from.address(first * stride + (long) head * shape.headSize());
    if (rows == wanted) {
      return new Rows(address, stride);
    }
    int width = from.dtype().bytes();
    long line = (long) shape.headSize() * width;
    long to = lane.scratch(slot, wanted * line);
    for (int r = 0; r < rows; r++) {
      Bytes.copy(address + (long) r * stride * width, to + r * line, line);
    }
    Bytes.clear(to + rows * line, (wanted - rows) * line);
    return new Rows(to, shape.headSize());
  }

  /** 0 or -∞ for each key of a block, or null where all are seen. */
  float @Nullable [] hidden(Lane lane, int slot, int batch, int keyBlock) {
    if (keyMask == null) {
      return null;
    }
    float[] hidden = lane.floats(slot, KEYS);
    int first = keyBlock * KEYS;
    int n = Math.min(KEYS, shape.keys() - first);
    for (int j = 0; j < n; j++) {
      boolean seen = keyMask.byteAt((long) batch * shape.keys() + first + j) != 0;
      hidden[j] = seen ? 0 : Float.NEGATIVE_INFINITY;
    }
    Arrays.fill(hidden, n, KEYS, Float.NEGATIVE_INFINITY);
    return hidden;
  }

  /** Where the bias of a query begins for a block of keys; 0 = there is none. */
  long biasAt(int head, int query, int keyBlock) {
    return bias == null
        ? 0
        : bias.address(
            ((long) head * shape.queries() + query) * shape.keys() + (long) keyBlock * KEYS);
  }

  /** scores [queries, KEYS] = rows of q · rows of k, transposed. */
  Gemm.Shape scores(Rows queries, Rows keys) {
    return new Gemm.Shape(
        blockQueries(),
        shape.headSize(),
        KEYS,
        type(),
        DType.F32,
        new Gemm.Layout(queries.stride, 1),
        new Gemm.Layout(1, keys.stride),
        KEYS,
        false,
        false);
  }

  /** sums [queries, headSize] += weights [queries, KEYS] · rows of k or v. */
  Gemm.Shape overKeys(Rows keys) {
    return new Gemm.Shape(
        blockQueries(),
        KEYS,
        shape.headSize(),
        type(),
        DType.F32,
        new Gemm.Layout(KEYS, 1),
        new Gemm.Layout(keys.stride, 1),
        shape.headSize(),
        false,
        true);
  }

  /** sums [KEYS, headSize] += weights [queries, KEYS], transposed · rows of q or dOut. */
  Gemm.Shape overQueries(Rows queries) {
    return new Gemm.Shape(
        KEYS,
        blockQueries(),
        shape.headSize(),
        type(),
        DType.F32,
        new Gemm.Layout(1, KEYS),
        new Gemm.Layout(queries.stride, 1),
        shape.headSize(),
        false,
        true);
  }
}
