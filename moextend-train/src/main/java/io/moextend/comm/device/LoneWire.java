package io.moextend.comm.device;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.Backend;

/** The wire of a run of one rank: every sum is what it has, every gathering is done. */
public final class LoneWire implements DeviceWire {
  private final Backend backend;

  @MustBeClosed
  public LoneWire(Backend backend) {
    this.backend = backend;
  }

  @Override
  public int rank() {
    return 0;
  }

  @Override
  public int world() {
    return 1;
  }

  private record Own(Array array, Arena arena) implements Flat {
    @Override
    public void close() {
      arena.close();
    }
  }

  @Override
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // closed with the flat
  public Flat flat(String name, DType dtype, long length) {
    Arena arena = backend.arena(name);
    Array array = arena.allocate(dtype, length);
    backend.fillInto(array, 0);
    return new Own(array, arena);
  }

  @Override
  public void allReduce(String what, Flat flat, long from, long to) {}

  @Override
  public void reduceScatter(String what, Flat flat, long from, long to) {}

  @Override
  public void allGather(String what, Flat flat, long from, long to) {}

  @Override
  public double[][] gather(String what, double... values) {
    return new double[][] {values.clone()};
  }

  @Override
  public long lateNanos() {
    return 0;
  }

  @Override
  public long peakBytes() {
    return 0;
  }

  @Override
  public void barrier(String what) {}

  @Override
  public void close() {}
}
