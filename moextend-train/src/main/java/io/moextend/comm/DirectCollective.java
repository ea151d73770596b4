package io.moextend.comm;

import com.google.errorprone.annotations.MustBeClosed;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * Collectives over any wire, by the direct algorithm: the owner of a part hears all others' and
 * adds them in the order of ranks, the narrow types in f32 with one rounding at the end. It needs
 * at most 16 MiB beside the buffers, or 64 KiB a rank where that is more.
 */
public final class DirectCollective implements Collective {
  private final int rank;
  private final int world;
  private final DirectExchange exchange;
  private final Calls calls;
  private final OpenBuffers<Own> buffers = new OpenBuffers<>();

  /**
   * @param wire closed with this
   * @param vigil told of the calls; waiting is the wire's
   */
  public DirectCollective(Transport wire, Vigil vigil) {
    this.rank = wire.rank();
    this.world = wire.world();
    this.exchange = new DirectExchange(wire);
    this.calls = new Calls(vigil, exchange::meet);
  }

  @Override
  public int rank() {
    return rank;
  }

  @Override
  public int world() {
    return world;
  }

  @Override
  @MustBeClosed
  public Buffer buffer(String name, long bytes) {
    buffers.check(name, bytes);
    return calls.get(
        "buffer", Call.ofBuffer(name, bytes), name, () -> buffers.add(new Own(name, bytes)));
  }

  @Override
  public void allReduce(String what, Buffer.Slice slice) {
    RankSum.check(slice.payload());
    MemorySegment[] parts = Parts.uneven(memory(slice), slice.payload().bytes(), world);
    run(
        "all-reduce",
        what,
        slice,
        () -> {
          exchange.reduceScatter(slice.payload(), parts);
          exchange.allGather(parts);
        });
  }

  @Override
  public void reduceScatter(String what, Buffer.Slice slice) {
    RankSum.check(slice.payload());
    MemorySegment[] parts = parts(slice);
    run("reduce-scatter", what, slice, () -> exchange.reduceScatter(slice.payload(), parts));
  }

  @Override
  public void allGather(String what, Buffer.Slice slice) {
    MemorySegment[] parts = parts(slice);
    run("all-gather", what, slice, () -> exchange.allGather(parts));
  }

  @Override
  public void allToAll(String what, Buffer.Slice from, Buffer.Slice into) {
    Parts.checkPair(from, into);
    MemorySegment[] out = parts(from);
    MemorySegment[] in = parts(into);
    calls.run(
        "all-to-all",
        Call.signature("all-to-all", from, into),
        what,
        () -> exchange.allToAll(out, in));
  }

  @Override
  public void broadcast(String what, Buffer.Slice slice, int root) {
    Parts.checkRoot(root, world);
    MemorySegment memory = memory(slice);
    run("broadcast from " + root, what, slice, () -> exchange.broadcast(memory, root));
  }

  @Override
  public void barrier(String what) {
    calls.run("barrier", "barrier", what, () -> {});
  }

  private void run(String method, String what, Buffer.Slice slice, Runnable body) {
    calls.run(method, Call.signature(method, slice), what, body);
  }

  private MemorySegment memory(Buffer.Slice slice) {
    return Parts.memory(buffers.of(slice).segment(), slice);
  }

  private MemorySegment[] parts(Buffer.Slice slice) {
    return Parts.equal(buffers.of(slice).segment(), slice, world);
  }

  @Override
  public long lateNanos() {
    return calls.lateNanos();
  }

  @Override
  public void close() {
    buffers.closeAll();
    exchange.close();
  }

  private final class Own implements Buffer {
    private final String name;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment segment;
    private boolean open = true;

    Own(String name, long bytes) {
      this.name = name;
      this.segment = arena.allocate(bytes, 64);
    }

    @Override
    public String name() {
      return name;
    }

    @Override
    public MemorySegment segment() {
      return segment;
    }

    @Override
    public void close() {
      if (open) {
        open = false;
        buffers.remove(this);
        arena.close();
      }
    }
  }
}
