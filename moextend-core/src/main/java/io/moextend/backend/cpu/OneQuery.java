package io.moextend.backend.cpu;

import io.moextend.array.Arena;
import io.moextend.array.DType;
import io.moextend.backend.AttentionKernels.Attended;
import io.moextend.backend.AttentionKernels.Attention;
import java.util.Arrays;

/**
 * Attention of one query a sequence, as when one token follows the other. What counts then is to
 * read every key and value once and in order: so a task takes a block of keys for all heads of a
 * sequence, and what the blocks found is put together afterwards. All of it in F32. From two
 * queries on blocks of queries are as fast.
 *
 * @see <a href="https://arxiv.org/abs/2307.08691">FlashAttention-2</a>, section 3.1: the parts of a
 *     softmax over blocks of keys
 */
final class OneQuery {
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

  OneQuery(CpuDevice cpu, AttentionInputs in) {
    this.cpu = cpu;
    this.in = in;
    this.shape = in.shape;
    this.size = shape.headSize();
    this.dots = new RowDots(in.type(), size);
    this.blocks = Math.ceilDiv(shape.keys(), KEYS);
  }

  /** True where this is the way to go. */
  static boolean fits(AttentionInputs in) {
    boolean plain = in.seen == null || (!in.seen.numbered() && !in.uniform);
    return in.shape.queries() == 1 && plain;
  }

  Attended run(Arena to) {
    CpuArray out = CpuDevice.allocate(to, in.type(), in.q.shape());
    int heads = shape.queryHeads();
    CpuArray logSumExp = CpuDevice.allocate(to, DType.F32, shape.batch(), heads, 1);
    CpuArray parts =
        cpu.memory().allocate(DType.F32, (long) shape.batch() * blocks * heads, size + EXTRA);
    try {
      cpu.workers()
          .run(
              Math.multiplyExact(shape.batch(), blocks),
              (lane, i) -> {
                for (int head = 0; head < heads; head++) {
                  attend(lane, i / blocks, head, i % blocks, parts);
                }
              });
      cpu.forRows(
          logSumExp.size(),
          (long) blocks * size,
          (lane, row) -> join(lane, row, parts, out, logSumExp));
    } finally {
      cpu.memory().free(parts);
    }
    return new Attended(out, logSumExp);
  }

  /**
   * One head with a block of keys; its part is the sum of values, the largest score, the sum of
   * weights.
   */
  private void attend(Lane lane, int batch, int head, int block, CpuArray parts) {
    int first = Math.max(in.firstKey(0), block * KEYS);
    int keys = Math.min(in.endKey(0), (block + 1) * KEYS) - first;
    float[] part = lane.floats(0, size + EXTRA);
    part[size] = Float.NEGATIVE_INFINITY;
    part[size + 1] = 0;
    if (keys > 0) {
      long key = (long) batch * shape.keys() + first;
      long from = (key * shape.keyHeads() + head / in.group()) * size;
      float[] scores = lane.floats(1, KEYS);
      dots.multiply(in.k.address(from), line(), keys, query(lane, batch, head), scores);
      VectorMath.scale(scores, (float) shape.scale(), keys);
      if (in.bias != null) {
        float[] bias = lane.floats(2, KEYS);
        Floats.load(in.bias, (long) head * shape.keys() + first, keys, bias);
        VectorMath.addTo(scores, 1, bias, keys);
      }
      hide(key, scores, keys);
      float max = VectorMath.max(scores, keys);
      if (max > Float.NEGATIVE_INFINITY) {
        part[size] = max;
        part[size + 1] = VectorMath.expTo(scores, max, keys);
        WeightedRows.sum(in.type(), in.v.address(from), line(), keys, size, scores, part);
      }
    }
    Floats.store(part, size + EXTRA, parts, at(batch, block, head));
  }

  /** Address of a head's query as the dot products want it. */
  private long query(Lane lane, int batch, int head) {
    long address = in.q.address(((long) batch * shape.queryHeads() + head) * size);
    if (!dots.spreads()) {
      return address;
    }
    long spread = lane.scratch(QUERY, 4L * size);
    dots.spread(address, spread);
    return spread;
  }

  /** Bytes from one key to the next. */
  private long line() {
    return (long) shape.keyHeads() * size * in.type().bytes();
  }

  private void hide(long first, float[] scores, int keys) {
    for (int j = 0; in.seen != null && j < keys; j++) {
      if (!in.seen.sees(first + j)) {
        scores[j] = Float.NEGATIVE_INFINITY;
      }
    }
  }

  /** Where a part begins. */
  private long at(int batch, int block, int head) {
    return (((long) batch * blocks + block) * shape.queryHeads() + head) * (size + EXTRA);
  }

  /** What all blocks found for one head; nothing where it saw no key. */
  private void join(Lane lane, int row, CpuArray parts, CpuArray out, CpuArray logSumExp) {
    int batch = row / shape.queryHeads();
    int head = row % shape.queryHeads();
    float max = Float.NEGATIVE_INFINITY;
    for (int b = 0; b < blocks; b++) {
      max = Math.max(max, parts.floatAt(at(batch, b, head) + size));
    }
    float[] sum = lane.floats(0, size);
    float[] part = lane.floats(1, size + EXTRA);
    Arrays.fill(sum, 0f);
    float total = 0;
    for (int b = 0; b < blocks; b++) {
      Floats.load(parts, at(batch, b, head), size + EXTRA, part);
      if (part[size + 1] > 0) {
        float factor = (float) Math.exp(part[size] - max);
        total += factor * part[size + 1];
        VectorMath.addTo(sum, factor, part, size);
      }
    }
    VectorMath.scale(sum, total > 0 ? 1 / total : 0, size);
    Floats.store(sum, size, out, (long) row * size);
    logSumExp.setFloat(row, total > 0 ? (float) (max + Math.log(total)) : Float.NEGATIVE_INFINITY);
  }
}
