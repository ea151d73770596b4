package io.moextend.comm;

import com.google.errorprone.annotations.MustBeClosed;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** A few numbers from every rank to every rank: losses, flags, times. */
public final class GatheredNumbers implements AutoCloseable {
  private static final int AT_ONCE = 512; // of one rank

  private final Collective collective;
  private final Buffer buffer;

  /** A collective call itself. */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // closed with this
  public GatheredNumbers(Collective collective) {
    this.collective = collective;
    this.buffer =
        collective.buffer("numbers", (long) AT_ONCE * collective.world() * Payload.F64.bytes());
  }

  /**
   * A collective call.
   *
   * @param values as many on every rank
   * @return [world][values]
   */
  public double[][] gather(String what, double... values) {
    int world = collective.world();
    double[][] all = new double[world][values.length];
    for (int from = 0; from < values.length; from += AT_ONCE) {
      int count = Math.min(AT_ONCE, values.length - from);
      var slice = buffer.slice(Payload.F64, 0, (long) count * world);
      MemorySegment own = slice.part(collective.rank(), world).segment();
      MemorySegment.copy(values, from, own, ValueLayout.JAVA_DOUBLE, 0, count);
      collective.allGather(what, slice);
      for (int rank = 0; rank < world; rank++) {
        MemorySegment.copy(
            slice.part(rank, world).segment(), ValueLayout.JAVA_DOUBLE, 0, all[rank], from, count);
      }
    }
    return all;
  }

  @Override
  public void close() {
    buffer.close();
  }
}
