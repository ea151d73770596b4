package io.moextend.comm;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;

/**
 * Words by which the ranks of one host signal each other, in memory all of them map. Each rank
 * writes a page of its own alone: how often it has arrived; where it waits for another host; and
 * what it is about to do, in two places by turns, since a rank can be one call ahead of one that
 * still reads.
 */
final class ControlPage implements AutoCloseable {
  private static final String NAME = "control";
  private static final long PAGE = 4096;
  private static final long MARK = 0x4d6f4578_436f6d31L;
  private static final VarHandle WORD = ValueLayout.JAVA_LONG.varHandle();

  // a rank's page; words that change at different times lie apart
  private static final long ARRIVED = 0;
  private static final long OUTSIDE_SINCE = 256;
  private static final long OUTSIDE_RANK = 264;
  private static final long SHOWN = 512;
  // the first page
  private static final long WORLD = 8;

  private final Place place;
  private final Vigil vigil;
  private final Arena arena = Arena.ofShared();
  private final MemorySegment memory;
  private long arrivals;

  /**
   * Returns when all ranks of the host are here and the file has no name any more.
   *
   * @param folder the same for all, empty
   */
  ControlPage(Path folder, Place place, Vigil vigil) {
    this.place = place;
    this.vigil = vigil;
    Path file = folder.resolve(NAME);
    long bytes = PAGE * (1 + place.locals());
    try {
      memory = place.local() == 0 ? create(folder, file, bytes) : open(file, bytes);
      try {
        await();
      } finally {
        SharedFile.unlink(file);
      }
    } catch (RuntimeException e) {
      arena.close();
      throw e;
    }
  }

  private MemorySegment create(Path folder, Path file, long bytes) {
    if (Files.exists(file)) {
      throw new UncheckedIOException(
          new IOException(file + " is left from another run; give every start a new folder"));
    }
    Path unfinished = folder.resolve(NAME + ".new");
    MemorySegment made = SharedFile.create(unfinished, bytes, arena);
    made.set(ValueLayout.JAVA_LONG, 0, MARK);
    made.set(ValueLayout.JAVA_LONG, WORLD, place.locals());
    VarHandle.releaseFence();
    try {
      Files.move(unfinished, file, StandardCopyOption.ATOMIC_MOVE);
    } catch (IOException e) {
      throw new UncheckedIOException(e.getMessage(), e);
    }
    return made;
  }

  private MemorySegment open(Path file, long bytes) {
    var idle = new IdleTurns(peer -> vigil.waiting(place.rankOf(peer)));
    while (!Files.exists(file)) {
      idle.pass(0);
    }
    MemorySegment opened = SharedFile.open(file, bytes, arena);
    if (opened.get(ValueLayout.JAVA_LONG, 0) != MARK
        || opened.get(ValueLayout.JAVA_LONG, WORLD) != place.locals()) {
      throw new IllegalStateException(
          "%s is for %d ranks, not %d, or of another version"
              .formatted(file, opened.get(ValueLayout.JAVA_LONG, WORLD), place.locals()));
    }
    return opened;
  }

  /** Returns when all have come, in the same call. */
  void meet(Call call) {
    long at = SHOWN + (call.sequence() & 1) * Call.BYTES;
    call.show(memory.asSlice(page(place.local()) + at, Call.BYTES));
    await();
    for (int r = 0; r < place.locals(); r++) {
      if (r != place.local()) {
        call.expect(place.rankOf(r), memory.asSlice(page(r) + at, Call.BYTES));
      }
    }
  }

  /** Returns when all have come; what they wrote before is then seen here. */
  void await() {
    WORD.setRelease(memory, page(place.local()) + ARRIVED, ++arrivals);
    for (int r = 0; r < place.locals(); r++) {
      if (arrived(r) < arrivals) {
        var idle = new IdleTurns(peer -> vigil.waiting(cause(peer)));
        while (arrived(r) < arrivals) {
          idle.pass(r);
        }
      }
    }
  }

  private long arrived(int local) {
    return (long) WORD.getAcquire(memory, page(local) + ARRIVED);
  }

  /** The rank to blame for a neighbour's absence: itself, or the one it waits for elsewhere. */
  private int cause(int local) {
    long since = (long) WORD.getAcquire(memory, page(local) + OUTSIDE_SINCE);
    return since != 0 && since == arrived(local)
        ? (int) (long) WORD.getOpaque(memory, page(local) + OUTSIDE_RANK)
        : place.rankOf(local);
  }

  /**
   * Tells the neighbours that this rank, until it arrives again, waits for one of another host.
   *
   * @param rank global
   */
  void waitsOutside(int rank) {
    WORD.setOpaque(memory, page(place.local()) + OUTSIDE_RANK, (long) rank);
    WORD.setRelease(memory, page(place.local()) + OUTSIDE_SINCE, arrivals);
  }

  private static long page(int local) {
    return PAGE * (1 + local);
  }

  @Override
  public void close() {
    arena.close();
  }
}
