package io.moextend.shard;

import io.moextend.comm.Buffer;
import io.moextend.comm.Collective;
import io.moextend.comm.DirectCollective;
import io.moextend.comm.InProcessTransport;
import io.moextend.comm.Patience;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Consumer;

/** Collectives between threads of which a test sees the calls and the memory. */
final class Watched implements Collective {
  private final Collective direct;
  private final List<String> calls = new CopyOnWriteArrayList<>();
  private volatile Consumer<String> before = call -> {};
  private volatile long bytes;

  private Watched(Collective direct) {
    this.direct = direct;
  }

  static List<Watched> group(int world) {
    return group(world, Duration.ofSeconds(20));
  }

  static List<Watched> group(int world, Duration patience) {
    var group = new ArrayList<Watched>();
    var vigils = new ArrayList<Patience>();
    for (int r = 0; r < world; r++) {
      vigils.add(new Patience(r, patience));
    }
    for (var wire : InProcessTransport.group(world, vigils::get)) {
      group.add(new Watched(new DirectCollective(wire, vigils.get(wire.rank()))));
    }
    return group;
  }

  /** What is done before each call, which may throw. */
  Watched before(Consumer<String> what) {
    before = what;
    return this;
  }

  /** What was called for, in order. */
  List<String> calls() {
    return calls;
  }

  /** Of this rank's open buffers. */
  long bytes() {
    return bytes;
  }

  private void called(String what) {
    before.accept(what);
    calls.add(what);
  }

  @Override
  public int rank() {
    return direct.rank();
  }

  @Override
  public int world() {
    return direct.world();
  }

  /** Of which a test sees when it is closed. */
  private final class Counted implements Buffer {
    private final Buffer buffer;
    private boolean open = true;

    Counted(Buffer buffer) {
      this.buffer = buffer;
      bytes += buffer.bytes();
    }

    @Override
    public String name() {
      return buffer.name();
    }

    @Override
    public MemorySegment segment() {
      return buffer.segment();
    }

    @Override
    public void close() {
      if (open) {
        bytes -= buffer.bytes();
      }
      open = false;
      buffer.close();
    }
  }

  private static Buffer.Slice own(Buffer.Slice slice) {
    return ((Counted) slice.buffer()).buffer.slice(slice.payload(), slice.from(), slice.to());
  }

  @Override
  @SuppressWarnings("MustBeClosedChecker") // closed with what it is given out as
  public Buffer buffer(String name, long size) {
    called("buffer " + name);
    return new Counted(direct.buffer(name, size));
  }

  @Override
  public void allReduce(String what, Buffer.Slice slice) {
    called(what);
    direct.allReduce(what, own(slice));
  }

  @Override
  public void reduceScatter(String what, Buffer.Slice slice) {
    called(what);
    direct.reduceScatter(what, own(slice));
  }

  @Override
  public void allGather(String what, Buffer.Slice slice) {
    called(what);
    direct.allGather(what, own(slice));
  }

  @Override
  public void allToAll(String what, Buffer.Slice from, Buffer.Slice into) {
    called(what);
    direct.allToAll(what, own(from), own(into));
  }

  @Override
  public void broadcast(String what, Buffer.Slice slice, int root) {
    called(what);
    direct.broadcast(what, own(slice), root);
  }

  @Override
  public void barrier(String what) {
    called(what);
    direct.barrier(what);
  }

  @Override
  public long lateNanos() {
    return direct.lateNanos();
  }

  @Override
  public void close() {
    direct.close();
  }
}
