package io.moextend.backend.cpu;

import io.moextend.array.Arena;
import io.moextend.array.DType;
import io.moextend.backend.AttentionKernels.Attended;
import io.moextend.backend.AttentionKernels.Attention;
import java.util.Arrays;

/**
 * Attention of few queries, as when one token follows the other. What counts then is to read every
 * key and value once and in order: so a task takes a block of keys for all heads of a sequence, and
 * what the blocks found is put together afterwards. All of it in F32.
 *
 * @see <a href="https://arxiv.org/abs/2307.08691">FlashAttention-2</a>, section 3.1: the parts of a
 *     softmax over blocks of keys
 */
final class FewQueries {
  /** Queries of a sequence beyond which attention by blocks of queries is faster. */
  static final int MOST = 4;

  private static final int KEYS = 32;
  private static final int QUERY = 3;

  /** Beside the sum of values: the largest score and the sum of weights. */
  private static final int EXTRA = 2;

  private final CpuDevice cpu;
  private final AttentionInputs in;
  private final Attention shape;
  private final RowDots dots;
  private final int size;
  private final int blocks;

  FewQueries(CpuDevice cpu, AttentionInputs in) {
    this.cpu = cpu;
    this.in = in;
    this.shape = in.shape;
    this.size = shape.headSize();
    this.dots = new RowDots(in.type(), size);
    this.blocks = Math.ceilDiv(shape.keys(), KEYS);
  }

  /** True where this is the way to go: few queries, and no bias. */
  static boolean fits(AttentionInputs in) {
    return in.shape.queries() <= MOST && in.bias == null;
  }

  Attended run(Arena to) {
    CpuArray out = CpuDevice.allocate(to, in.type(), in.q.shape());
    CpuArray logSumExp =
        CpuDevice.allocate(to, DType.F32, shape.batch(), shape.queryHeads(), shape.queries());
    int each = shape.queryHeads() * shape.queries();
    CpuArray parts =
        cpu.memory().allocate(DType.F32, (long) shape.batch() * blocks * each, size + EXTRA);
    try {
      cpu.workers()
          .run(
              Math.multiplyExact(shape.batch(), blocks),
              (lane, i) -> attend(lane, i / blocks, i % blocks, parts));
      cpu.forRows(
          logSumExp.size(),
          (long) blocks * size,
          (lane, row) -> join(lane, row / each, row % each, parts, out, logSumExp));
    } finally {
      cpu.memory().free(parts);
    }
    return new Attended(out, logSumExp);
  }

  /** All heads of a sequence with one block of its keys. */
  private void attend(Lane lane, int batch, int block, CpuArray parts) {
    int each = shape.queryHeads() * shape.queries();
    for (int i = 0; i < each; i++) {
      long part = ((long) batch * blocks + block) * each + i;
      int head = i / shape.queries();
      attend(lane, batch, head, i % shape.queries(), block, parts.address(part * (size + EXTRA)));
    }
  }

  /** One query of one head; {@code to} takes the sum of values, the largest score, the weights. */
  private void attend(Lane lane, int batch, int head, int query, int block, long to) {
    int first = Math.max(in.firstKey(query), block * KEYS);
    int keys = Math.min(in.endKey(query), (block + 1) * KEYS) - first;
    float[] part = lane.floats(0, size + EXTRA);
    part[size] = Float.NEGATIVE_INFINITY;
    part[size + 1] = 0;
    if (keys > 0) {
      long key = (long) batch * shape.keys() + first;
      long from = (key * shape.keyHeads() + head / in.group()) * size;
      float[] scores = scores(lane, query(lane, batch, head, query), in.k.address(from), keys);
      hide(key, scores, keys);
      float max = VectorMath.max(scores, keys);
      if (max > Float.NEGATIVE_INFINITY) {
        part[size] = max;
        part[size + 1] = VectorMath.expTo(scores, max, keys);
        WeightedRows.sum(in.type(), in.v.address(from), line(), keys, size, scores, part);
      }
    }
    Floats.store(part, size + EXTRA, DType.F32, to);
  }

  /** Address of a head's query as the dot products want it. */
  private long query(Lane lane, int batch, int head, int query) {
    long row = (long) batch * shape.queries() + query;
    long address = in.q.address((row * shape.queryHeads() + head) * size);
    if (!dots.spreads()) {
      return address;
    }
    long spread = lane.scratch(QUERY, 4L * size);
    dots.spread(address, spread);
    return spread;
  }

  private float[] scores(Lane lane, long query, long key, int keys) {
    float[] two = lane.floats(1, 2);
    float[] scores = lane.floats(2, KEYS);
    long line = line();
    for (int i = 0; i < keys; i += 2) {
      int second = Math.min(i + 1, keys - 1);
      dots.one(key + i * line, key + second * line, query, two, 0);
      scores[i] = two[0];
      scores[second] = two[1];
    }
    VectorMath.scale(scores, (float) shape.scale(), keys);
    return scores;
  }

  /** Bytes from one key to the next. */
  private long line() {
    return (long) shape.keyHeads() * size * in.type().bytes();
  }

  private void hide(long first, float[] scores, int keys) {
    for (int j = 0; in.keyMask != null && j < keys; j++) {
      if (in.keyMask.byteAt(first + j) == 0) {
        scores[j] = Float.NEGATIVE_INFINITY;
      }
    }
  }

  /** What all blocks found for one query of one head; nothing where it saw no key. */
  private void join(
      Lane lane, int batch, int at, CpuArray parts, CpuArray out, CpuArray logSumExp) {
    int each = shape.queryHeads() * shape.queries();
    float[] sum = lane.floats(0, size);
    float[] part = lane.floats(1, size + EXTRA);
    Arrays.fill(sum, 0f);
    float max = Float.NEGATIVE_INFINITY;
    for (int b = 0; b < blocks; b++) {
      max = Math.max(max, parts.floatAt(element(batch, b, each, at) + size));
    }
    float total = 0;
    for (int b = 0; b < blocks; b++) {
      Floats.load(parts, element(batch, b, each, at), size + EXTRA, part);
      if (part[size + 1] > 0) {
        float factor = (float) Math.exp(part[size] - max);
        total += factor * part[size + 1];
        VectorMath.addTo(sum, factor, part, size);
      }
    }
    VectorMath.scale(sum, total > 0 ? 1 / total : 0, size);
    int head = at / shape.queries();
    long row = (long) batch * shape.queries() + at % shape.queries();
    Floats.store(sum, size, out, (row * shape.queryHeads() + head) * size);
    logSumExp.setFloat(
        (long) batch * each + at,
        total > 0 ? (float) (max + Math.log(total)) : Float.NEGATIVE_INFINITY);
  }

  /** Where a part begins. */
  private long element(int batch, int block, int each, int at) {
    return (((long) batch * blocks + block) * each + at) * (size + EXTRA);
  }
}
