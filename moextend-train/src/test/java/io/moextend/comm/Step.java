package io.moextend.comm;

import java.util.random.RandomGenerator;

/**
 * One collective call with its inputs, for comparison with plain loops.
 *
 * @param into first element of an all-to-all's destination
 * @param seed of the inputs
 */
record Step(Kind kind, Payload payload, int from, int to, int into, int root, long seed) {
  enum Kind {
    ALL_REDUCE,
    REDUCE_SCATTER,
    ALL_GATHER,
    ALL_TO_ALL,
    BROADCAST,
    BARRIER
  }

  /** A step within a buffer of some bytes. */
  static Step random(RandomGenerator random, int world, int bytes) {
    Kind kind = Kind.values()[random.nextInt(Kind.values().length)];
    boolean sums = kind == Kind.ALL_REDUCE || kind == Kind.REDUCE_SCATTER;
    Payload payload = Payload.values()[random.nextInt(sums ? 3 : 4)];
    int room = bytes / payload.bytes();
    int most = kind == Kind.ALL_TO_ALL ? room / 2 : room;
    // few elements as often as many, none at all now and then
    int count = random.nextInt(4) == 0 ? random.nextInt(12) : random.nextInt(most + 1);
    if (kind != Kind.ALL_REDUCE && kind != Kind.BROADCAST) {
      count -= count % world;
    }
    int from = random.nextInt(most - count + 1);
    return new Step(
        kind,
        payload,
        from,
        from + count,
        kind == Kind.ALL_TO_ALL ? from + count + random.nextInt(room - from - 2 * count + 1) : 0,
        random.nextInt(world),
        random.nextLong());
  }

  void run(Collective collective, Buffer buffer) {
    Buffer.Slice slice = buffer.slice(payload, from, to);
    switch (kind) {
      case ALL_REDUCE -> collective.allReduce("test", slice);
      case REDUCE_SCATTER -> collective.reduceScatter("test", slice);
      case ALL_GATHER -> collective.allGather("test", slice);
      case ALL_TO_ALL ->
          collective.allToAll("test", slice, buffer.slice(payload, into, into + to - from));
      case BROADCAST -> collective.broadcast("test", slice, root);
      case BARRIER -> collective.barrier("test");
    }
  }
}
