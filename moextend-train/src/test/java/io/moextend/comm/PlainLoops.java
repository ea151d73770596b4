package io.moextend.comm;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.SplittableRandom;
import java.util.stream.IntStream;

/** What collectives must give, by loops anyone can check. Hosts first, each payload rounded. */
final class PlainLoops {
  private static final double[] SCALES =
      IntStream.range(0, 16).mapToDouble(k -> Math.scalb(1.0, k - 40)).toArray();

  private PlainLoops() {}

  /** Numbers of very different sizes, so that the order of adding shows in the bits. */
  static ByteBuffer inputs(Payload payload, long seed, int rank, int bytes) {
    var random = new SplittableRandom(seed * 31 + rank);
    ByteBuffer memory = ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
    if (payload == Payload.BYTES) {
      random.nextBytes(memory.array());
      return memory;
    }
    for (int i = 0; i < bytes / payload.bytes(); i++) {
      long bits = random.nextLong();
      set(memory, payload, i, (int) (bits >>> 32) * SCALES[(int) bits & 15]);
    }
    return memory;
  }

  static double get(ByteBuffer memory, Payload payload, int i) {
    return switch (payload) {
      case F32 -> memory.getFloat(4 * i);
      case BF16 -> Float.intBitsToFloat(memory.getShort(2 * i) << 16);
      case F64 -> memory.getDouble(8 * i);
      case BYTES -> throw new IllegalArgumentException("no numbers");
    };
  }

  static void set(ByteBuffer memory, Payload payload, int i, double x) {
    switch (payload) {
      case F32 -> memory.putFloat(4 * i, (float) x);
      case BF16 -> memory.putShort(2 * i, bf16((float) x));
      case F64 -> memory.putDouble(8 * i, x);
      case BYTES -> throw new IllegalArgumentException("no numbers");
    }
  }

  /** By distance to the two neighbours, ties to the even one. */
  private static short bf16(float x) {
    int bits = Float.floatToRawIntBits(x);
    if (Float.isNaN(x)) {
      return (short) 0x7fc0;
    }
    int low = bits & 0xffff;
    int high = bits >>> 16;
    boolean up = low > 0x8000 || low == 0x8000 && (high & 1) == 1;
    return (short) (up ? high + 1 : high);
  }

  private static double sum(Payload payload, double a, double b) {
    return payload == Payload.F64 ? a + b : (double) ((float) a + (float) b);
  }

  private static double rounded(Payload payload, double x) {
    return payload == Payload.BF16 ? Float.intBitsToFloat(bf16((float) x) << 16) : x;
  }

  /** Sum of element i over all ranks. */
  static double sum(Payload payload, ByteBuffer[] ranks, int i, int hosts) {
    int locals = ranks.length / hosts;
    double total = 0;
    for (int h = 0; h < hosts; h++) {
      double host = get(ranks[h * locals], payload, i);
      for (int l = 1; l < locals; l++) {
        host = sum(payload, host, get(ranks[h * locals + l], payload, i));
      }
      host = rounded(payload, host);
      total = h == 0 ? host : sum(payload, total, host);
    }
    return total;
  }

  /** The memory of a rank after a step. */
  static ByteBuffer after(Step step, int rank, ByteBuffer[] before, int hosts) {
    ByteBuffer mine = copy(before[rank]);
    int world = before.length;
    int count = step.to() - step.from();
    int each = count / world;
    switch (step.kind()) {
      case ALL_REDUCE -> sums(step, step.from(), step.to(), mine, before, hosts);
      case REDUCE_SCATTER -> {
        int first = step.from() + rank * each;
        sums(step, first, first + each, mine, before, hosts);
      }
      case ALL_GATHER -> {
        for (int r = 0; r < world; r++) {
          int first = step.from() + r * each;
          move(step.payload(), before[r], first, mine, first, each);
        }
      }
      case ALL_TO_ALL -> {
        for (int r = 0; r < world; r++) {
          int first = step.from() + rank * each;
          move(step.payload(), before[r], first, mine, step.into() + r * each, each);
        }
      }
      case BROADCAST ->
          move(step.payload(), before[step.root()], step.from(), mine, step.from(), count);
      case BARRIER -> {}
    }
    return mine;
  }

  private static void sums(
      Step step, int from, int to, ByteBuffer mine, ByteBuffer[] before, int hosts) {
    for (int i = from; i < to; i++) {
      set(mine, step.payload(), i, sum(step.payload(), before, i, hosts));
    }
  }

  private static void move(
      Payload payload, ByteBuffer source, int from, ByteBuffer target, int to, int count) {
    int each = payload.bytes();
    target.put(to * each, source, from * each, count * each);
  }

  private static ByteBuffer copy(ByteBuffer source) {
    return ByteBuffer.wrap(source.array().clone()).order(ByteOrder.LITTLE_ENDIAN);
  }
}
