package io.moextend.comm;

import com.google.errorprone.annotations.MustBeClosed;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;

/**
 * Collectives between processes of one host. A buffer is a file in memory that all ranks map, so
 * nothing is sent: in an all-reduce each rank adds its share of all ranks' memory, in the order of
 * ranks, and writes the sums into all of them. Ranks signal each other by words in mapped memory.
 *
 * <p>Files lose their names as soon as all have mapped them: a killed rank leaves nothing.
 */
public final class SharedMemoryCollective implements Collective {
  /** Shares begin at cache lines, so that two ranks do not write the same one. */
  private static final int LINE = 64;

  private final Path folder;
  private final Place place;
  private final Vigil vigil;
  private final int rank;
  private final int world;
  private final ControlPage control;
  private final Calls calls;
  private final OpenBuffers<Shared> buffers = new OpenBuffers<>();
  private long made;

  /**
   * Returns when all ranks are there.
   *
   * @param folder the same for all ranks, empty, with mode 700, in memory (as below /dev/shm), new
   *     at every start; the caller removes it
   */
  public SharedMemoryCollective(Path folder, int rank, int world, Vigil vigil) {
    this(folder, Place.onOneHost(rank, world), vigil, vigil);
  }

  private SharedMemoryCollective(Path folder, Place place, Vigil vigil, Vigil ofCalls) {
    this.folder = folder;
    this.place = place;
    this.vigil = vigil;
    this.rank = place.local();
    this.world = place.locals();
    SharedFile.checkFolder(folder);
    vigil.entered(0, "meeting in " + folder);
    this.control = new ControlPage(folder, place, vigil);
    vigil.left(0);
    this.calls = new Calls(ofCalls, control::meet);
  }

  /**
   * The ranks of one of several hosts, for {@link HierarchicalCollective}. The vigil hears global
   * ranks, and of waiting alone.
   */
  public static SharedMemoryCollective ofHost(Path folder, Place place, Vigil vigil) {
    return new SharedMemoryCollective(folder, place, vigil, new WaitingAlone(vigil));
  }

  /**
   * For the wire between this rank and its counterparts on other hosts, whose numbers are hosts:
   * passes waiting on with global ranks, and lets the neighbours know whom this rank waits for.
   */
  public Vigil outward() {
    return new WaitingAlone(vigil) {
      @Override
      public void waiting(int peer) {
        control.waitsOutside(place.counterpartOn(peer));
        super.waiting(place.counterpartOn(peer));
      }
    };
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
    var shared = new Shared(name, bytes);
    run("buffer", Call.ofBuffer(name, bytes), name, shared::map);
    return buffers.add(shared);
  }

  /** Another rank's memory of an open buffer. */
  MemorySegment memoryOf(Buffer buffer, int owner) {
    return buffers.of(buffer.slice(Payload.BYTES, 0, 0)).of(owner);
  }

  @Override
  public void allReduce(String what, Buffer.Slice slice) {
    RankSum.check(slice.payload());
    Shared shared = buffers.of(slice);
    run("all-reduce", Call.signature("all-reduce", slice), what, () -> addShare(shared, slice));
  }

  private void addShare(Shared shared, Buffer.Slice slice) {
    int each = slice.payload().bytes();
    long from = cut(slice, rank);
    long to = cut(slice, rank + 1);
    var all = new MemorySegment[world];
    for (int r = 0; r < world; r++) {
      all[r] = shared.of(r).asSlice(from * each, (to - from) * each);
    }
    RankSum.add(slice.payload(), all, all);
  }

  /** First element of a rank's share. */
  private long cut(Buffer.Slice slice, int part) {
    int each = slice.payload().bytes();
    long bytes = slice.count() * each;
    long lines = (bytes + LINE - 1) / LINE;
    long first = Math.min(Parts.start(lines, part, world) * LINE, bytes);
    long misaligned = slice.from() * each % LINE;
    long aligned = first == 0 || first == bytes ? first : first - misaligned;
    return slice.from() + Math.max(0, aligned) / each;
  }

  @Override
  public void reduceScatter(String what, Buffer.Slice slice) {
    RankSum.check(slice.payload());
    Shared shared = buffers.of(slice);
    var mine = new MemorySegment[world];
    for (int r = 0; r < world; r++) {
      mine[r] = Parts.memory(shared.of(r), slice.part(rank, world));
    }
    run(
        "reduce-scatter",
        Call.signature("reduce-scatter", slice),
        what,
        () -> RankSum.add(slice.payload(), mine, mine[rank]));
  }

  @Override
  public void allGather(String what, Buffer.Slice slice) {
    Shared shared = buffers.of(slice);
    MemorySegment[] own = Parts.equal(shared.of(rank), slice, world);
    run(
        "all-gather",
        Call.signature("all-gather", slice),
        what,
        () -> {
          for (int k = 1; k < world; k++) {
            int r = (rank + k) % world;
            own[r].copyFrom(Parts.memory(shared.of(r), slice.part(r, world)));
          }
        });
  }

  @Override
  public void allToAll(String what, Buffer.Slice from, Buffer.Slice into) {
    Parts.checkPair(from, into);
    Shared source = buffers.of(from);
    MemorySegment[] own = Parts.equal(buffers.of(into).of(rank), into, world);
    Buffer.Slice mine = from.part(rank, world);
    run(
        "all-to-all",
        Call.signature("all-to-all", from, into),
        what,
        () -> {
          for (int k = 0; k < world; k++) {
            int r = (rank + k) % world;
            own[r].copyFrom(Parts.memory(source.of(r), mine));
          }
        });
  }

  @Override
  public void broadcast(String what, Buffer.Slice slice, int root) {
    Parts.checkRoot(root, world);
    Shared shared = buffers.of(slice);
    String method = "broadcast from " + root;
    run(
        method,
        Call.signature(method, slice),
        what,
        () -> {
          if (rank != root) {
            Parts.memory(shared.of(rank), slice).copyFrom(Parts.memory(shared.of(root), slice));
          }
        });
  }

  @Override
  public void barrier(String what) {
    calls.run("barrier", "barrier", what, () -> {});
  }

  /** All come, each does its share, all are done. */
  private void run(String method, String signature, String what, Runnable share) {
    calls.run(
        method,
        signature,
        what,
        () -> {
          share.run();
          control.await();
        });
  }

  @Override
  public long lateNanos() {
    return calls.lateNanos();
  }

  @Override
  public void close() {
    buffers.closeAll();
    control.close();
  }

  /** All ranks' memory of one buffer. */
  private final class Shared implements Buffer {
    private final String name;
    private final long bytes;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment[] all = new MemorySegment[world];
    private boolean open = true;

    Shared(String name, long bytes) {
      this.name = name;
      this.bytes = bytes;
    }

    /** A collective call: makes this rank's, maps the others'. */
    void map() {
      long turn = made++;
      // an empty file cannot be mapped
      long size = Math.max(bytes, LINE);
      try {
        all[rank] = SharedFile.create(file(turn, rank), size, arena).asSlice(0, bytes);
        control.await();
        for (int r = 0; r < world; r++) {
          if (r != rank) {
            all[r] = SharedFile.open(file(turn, r), size, arena).asSlice(0, bytes);
          }
        }
        control.await();
      } catch (RuntimeException e) {
        arena.close();
        throw e;
      } finally {
        // everyone's, so that one who is killed here leaves nothing either
        for (int r = 0; r < world; r++) {
          SharedFile.unlink(file(turn, r));
        }
      }
    }

    private Path file(long turn, int owner) {
      return folder.resolve("buffer-%d-%s-%d".formatted(turn, name, owner));
    }

    MemorySegment of(int owner) {
      return all[owner];
    }

    @Override
    public String name() {
      return name;
    }

    @Override
    public MemorySegment segment() {
      return all[rank];
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
