package io.moextend.comm;

import com.google.errorprone.annotations.MustBeClosed;
import java.lang.foreign.MemorySegment;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Several hosts with several ranks each. Sums are taken within each host first, in the order of its
 * ranks, then in the order of hosts; each rank talks to its counterparts on other hosts about its
 * share alone, so that every byte crosses once for each pair of hosts. What crosses has the
 * buffer's payload: BF16 sums of a host are rounded to BF16 before they travel.
 */
public final class HierarchicalCollective implements Collective {
  /** Of each of the two places where an all-to-all lays down what came from one host. */
  private static final long STAGING_BYTES = 4L << 20;

  private final Place place;
  private final int hosts;
  private final int locals;
  private final Collective local;
  private final DirectExchange across;
  private final Calls calls;
  private @Nullable Staging staging;

  private record Staging(Buffer out, Buffer in) {}

  /**
   * @param local the ranks of this host; closed with this
   * @param across between this rank and its counterparts, numbered by host; closed with this
   * @param vigil told of the calls
   */
  public HierarchicalCollective(Place place, Collective local, Transport across, Vigil vigil) {
    if (local.world() != place.locals() || local.rank() != place.local()) {
      throw new IllegalArgumentException(
          "rank %d of %d on this host where %s was expected"
              .formatted(local.rank(), local.world(), place));
    }
    if (across.world() != place.hosts() || across.rank() != place.host()) {
      throw new IllegalArgumentException(
          "host %d of %d on the wire where %s was expected; does every host have %d ranks?"
              .formatted(across.rank(), across.world(), place, place.locals()));
    }
    this.place = place;
    this.hosts = place.hosts();
    this.locals = place.locals();
    this.local = local;
    this.across = new DirectExchange(across);
    // counterparts meet before neighbours do: then a rank whose host lacks nobody learns from its
    // neighbours whom they wait for elsewhere
    this.calls = new Calls(vigil, this.across::meet);
  }

  @Override
  public int rank() {
    return place.rank();
  }

  @Override
  public int world() {
    return place.world();
  }

  @Override
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // closed by who asked for it
  public Buffer buffer(String name, long bytes) {
    String signature = Call.ofBuffer(name, bytes) + ", with " + locals + " ranks on each host";
    return calls.get("buffer", signature, name, () -> local.buffer(name, bytes));
  }

  @Override
  public void allReduce(String what, Buffer.Slice slice) {
    RankSum.check(slice.payload());
    long whole = slice.count() - slice.count() % locals;
    Buffer.Slice even = slice.buffer().slice(slice.payload(), slice.from(), slice.from() + whole);
    Buffer.Slice rest = slice.buffer().slice(slice.payload(), slice.from() + whole, slice.to());
    calls.run(
        "all-reduce",
        Call.signature("all-reduce", slice),
        what,
        () -> {
          local.reduceScatter(what, even);
          sumAcross(even.part(place.local(), locals));
          local.allGather(what, even);
          if (rest.count() > 0) {
            // too few to share out: the ranks of a host do the same
            local.allReduce(what, rest);
            sumAcross(rest);
          }
        });
  }

  private void sumAcross(Buffer.Slice slice) {
    MemorySegment[] parts = Parts.uneven(slice.segment(), slice.payload().bytes(), hosts);
    across.reduceScatter(slice.payload(), parts);
    across.allGather(parts);
  }

  @Override
  public void reduceScatter(String what, Buffer.Slice slice) {
    RankSum.check(slice.payload());
    MemorySegment[] mine = ofCounterparts(slice);
    calls.run(
        "reduce-scatter",
        Call.signature("reduce-scatter", slice),
        what,
        () -> {
          for (int h = 0; h < hosts; h++) {
            local.reduceScatter(what, slice.part(h, hosts));
          }
          across.reduceScatter(slice.payload(), mine);
        });
  }

  @Override
  public void allGather(String what, Buffer.Slice slice) {
    MemorySegment[] mine = ofCounterparts(slice);
    calls.run(
        "all-gather",
        Call.signature("all-gather", slice),
        what,
        () -> {
          across.allGather(mine);
          for (int h = 0; h < hosts; h++) {
            local.allGather(what, slice.part(h, hosts));
          }
        });
  }

  /** The parts of this rank and its counterparts, by host. */
  private MemorySegment[] ofCounterparts(Buffer.Slice slice) {
    var parts = new MemorySegment[hosts];
    for (int h = 0; h < hosts; h++) {
      parts[h] = slice.part(place.counterpartOn(h), world()).segment();
    }
    return parts;
  }

  @Override
  public void allToAll(String what, Buffer.Slice from, Buffer.Slice into) {
    Parts.checkPair(from, into);
    MemorySegment[] out = Parts.equal(from.buffer().segment(), from, world());
    MemorySegment[] in = Parts.equal(into.buffer().segment(), into, world());
    calls.run(
        "all-to-all",
        Call.signature("all-to-all", from, into),
        what,
        () -> {
          long bytes = out[0].byteSize();
          long chunk = STAGING_BYTES / locals & -64L;
          for (long at = 0; at < bytes; at += chunk) {
            long size = Math.min(chunk, bytes - at);
            for (int k = 0; k < hosts; k++) {
              passOn(what, out, in, at, size, k);
            }
          }
        });
  }

  /**
   * Sends what is for the k-th host after this one to the counterpart there, and hands what came
   * from the k-th before it to the neighbours.
   */
  private void passOn(
      String what, MemorySegment[] out, MemorySegment[] in, long at, long size, int k) {
    Staging places = staging();
    int to = (place.host() + k) % hosts;
    int from = (place.host() - k + hosts) % hosts;
    for (int l = 0; l < locals; l++) {
      across.exchange(
          to,
          out[to * locals + l].asSlice(at, size),
          from,
          places.out.segment().asSlice(l * size, size));
    }
    local.allToAll(
        what,
        places.out.slice(Payload.BYTES, 0, locals * size),
        places.in.slice(Payload.BYTES, 0, locals * size));
    for (int l = 0; l < locals; l++) {
      in[from * locals + l].asSlice(at, size).copyFrom(places.in.segment().asSlice(l * size, size));
    }
  }

  @SuppressWarnings("MustBeClosedChecker") // closed by the local collective
  private Staging staging() {
    if (staging == null) {
      staging =
          new Staging(
              local.buffer("all-to-all.out", STAGING_BYTES),
              local.buffer("all-to-all.in", STAGING_BYTES));
    }
    return Objects.requireNonNull(staging);
  }

  @Override
  public void broadcast(String what, Buffer.Slice slice, int root) {
    Parts.checkRoot(root, world());
    String method = "broadcast from " + root;
    calls.run(
        method,
        Call.signature(method, slice),
        what,
        () -> {
          if (place.local() == root % locals) {
            across.broadcast(slice.segment(), root / locals);
          }
          local.broadcast(what, slice, root % locals);
        });
  }

  @Override
  public void barrier(String what) {
    calls.run("barrier", "barrier", what, () -> local.barrier(what));
  }

  @Override
  public long lateNanos() {
    return calls.lateNanos() + local.lateNanos();
  }

  @Override
  public void close() {
    local.close();
    across.close();
  }
}
