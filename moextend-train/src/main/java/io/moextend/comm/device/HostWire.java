package io.moextend.comm.device;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.Backend;
import io.moextend.comm.Buffer;
import io.moextend.comm.Collective;
import io.moextend.comm.Payload;
import java.lang.foreign.ValueLayout;
import org.jspecify.annotations.Nullable;

/**
 * Collectives over the host's memory. Where the device works on that memory in place, its arrays
 * lie over the collective's buffers and nothing is copied; else each call copies what it sends out
 * and what it got in.
 */
public final class HostWire implements DeviceWire {
  /** Numbers a rank sends at once in {@link #gather}. */
  private static final int AT_ONCE = 256;

  private static final ValueLayout.OfDouble DOUBLE = ValueLayout.JAVA_DOUBLE_UNALIGNED;

  private final Backend backend;
  private final Collective collective;
  private @Nullable Buffer numbers;
  private long openBytes;
  private long peakBytes;

  /**
   * @param collective not owned: who made it closes it, after this
   */
  @MustBeClosed
  public HostWire(Backend backend, Collective collective) {
    this.backend = backend;
    this.collective = collective;
  }

  @Override
  public int rank() {
    return collective.rank();
  }

  @Override
  public int world() {
    return collective.world();
  }

  /**
   * @param staging owns the array where it is a copy of the buffer, null where it lies over it
   */
  private record HostFlat(
      Buffer buffer, Payload payload, Array array, @Nullable Arena staging, Runnable closed)
      implements Flat {
    Buffer.Slice slice(long from, long to) {
      return buffer.slice(payload, from, to);
    }

    @Override
    public void close() {
      if (staging != null) {
        staging.close();
      }
      buffer.close();
      closed.run();
    }
  }

  @Override
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // closed with the flat
  public Flat flat(String name, DType dtype, long length) {
    Payload payload = payload(dtype);
    long bytes = Math.multiplyExact(length, payload.bytes());
    Buffer buffer = collective.buffer(name, bytes);
    openBytes += bytes;
    peakBytes = Math.max(peakBytes, openBytes);
    Runnable closed = () -> openBytes -= bytes;
    Array over = backend.over(dtype, buffer.segment(), length);
    if (over != null) {
      return new HostFlat(buffer, payload, over, null, closed);
    }
    Arena arena = backend.arena("copy of buffer " + name);
    Array copy = arena.allocate(dtype, length);
    backend.fillInto(copy, 0);
    return new HostFlat(buffer, payload, copy, arena, closed);
  }

  private static Payload payload(DType dtype) {
    return switch (dtype) {
      case F32 -> Payload.F32;
      case BF16 -> Payload.BF16;
      case F64 -> Payload.F64;
      case F16, I64, I32, I8, U8 ->
          throw new IllegalArgumentException(dtype + " is not moved between ranks");
    };
  }

  @Override
  public void allReduce(String what, Flat flat, long from, long to) {
    HostFlat host = (HostFlat) flat;
    Buffer.Slice all = host.slice(from, to);
    copyOut(host, all);
    collective.allReduce(what, all);
    copyIn(host, all);
  }

  @Override
  public void reduceScatter(String what, Flat flat, long from, long to) {
    HostFlat host = (HostFlat) flat;
    Buffer.Slice all = host.slice(from, to);
    copyOut(host, all);
    collective.reduceScatter(what, all);
    copyIn(host, all.part(rank(), world()));
  }

  @Override
  public void allGather(String what, Flat flat, long from, long to) {
    HostFlat host = (HostFlat) flat;
    Buffer.Slice all = host.slice(from, to);
    copyOut(host, all.part(rank(), world()));
    collective.allGather(what, all);
    copyIn(host, all);
  }

  private void copyOut(HostFlat flat, Buffer.Slice slice) {
    if (flat.staging != null) {
      backend.copyOut(flat.array.slice(slice.from(), slice.to()), slice.segment());
    }
  }

  private void copyIn(HostFlat flat, Buffer.Slice slice) {
    if (flat.staging != null) {
      backend.copyIn(flat.array.slice(slice.from(), slice.to()), slice.segment());
    }
  }

  @Override
  public double[][] gather(String what, double... values) {
    var all = new double[world()][values.length];
    for (int first = 0; first < values.length; first += AT_ONCE) {
      gather(what, values, first, Math.min(AT_ONCE, values.length - first), all);
    }
    return all;
  }

  private void gather(String what, double[] values, int first, int count, double[][] all) {
    Buffer buffer = numbers();
    Buffer.Slice slice = buffer.slice(Payload.F64, 0, (long) count * world());
    var own = slice.part(rank(), world()).segment();
    for (int i = 0; i < count; i++) {
      own.setAtIndex(DOUBLE, i, values[first + i]);
    }
    collective.allGather(what, slice);
    for (int r = 0; r < world(); r++) {
      for (int i = 0; i < count; i++) {
        all[r][first + i] = slice.segment().getAtIndex(DOUBLE, (long) r * count + i);
      }
    }
  }

  @SuppressWarnings("MustBeClosedChecker") // closed with this
  private Buffer numbers() {
    Buffer known = numbers;
    if (known == null) {
      known = collective.buffer("numbers", (long) AT_ONCE * Double.BYTES * world());
      numbers = known;
    }
    return known;
  }

  @Override
  public long lateNanos() {
    return collective.lateNanos();
  }

  @Override
  public long peakBytes() {
    return peakBytes;
  }

  @Override
  public void barrier(String what) {
    collective.barrier(what);
  }

  @Override
  public void close() {
    if (numbers != null) {
      numbers.close();
      numbers = null;
    }
  }
}
