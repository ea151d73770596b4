package io.moextend.comm;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * The direct algorithm over any wire: every piece goes straight to its owner, who adds all ranks'
 * pieces in the order of ranks. In round k a rank sends to the k-th after it and hears the k-th
 * before it.
 */
final class DirectExchange implements AutoCloseable {
  /** For all pieces of others together. */
  private static final long SCRATCH_BYTES = 16L << 20;

  private static final long MOST_BYTES = 4L << 20;
  private static final long LEAST_BYTES = 64L << 10;

  private final Transport wire;
  private final int rank;
  private final int world;
  private final Arena arena = Arena.ofShared();

  /** Of one piece. */
  private final long chunk;

  /** What the others sent, by rank; this rank's is empty. Made when the first sum is taken. */
  private MemorySegment @Nullable [] pieces;

  private final MemorySegment shown;
  private final MemorySegment heard;

  DirectExchange(Transport wire) {
    this.wire = wire;
    this.rank = wire.rank();
    this.world = wire.world();
    this.chunk = Math.clamp(SCRATCH_BYTES / Math.max(1, world - 1), LEAST_BYTES, MOST_BYTES) & -64L;
    this.shown = arena.allocate(Call.BYTES, 64);
    this.heard = arena.allocate(Call.BYTES, 64);
  }

  /**
   * Returns when all ranks have come, in the same call. All are told before anyone is heard, so
   * that a rank that does not come is named by every other.
   */
  void meet(Call call) {
    call.show(shown);
    for (int k = 1; k < world; k++) {
      int to = (rank + k) % world;
      wire.exchange(to, shown, to, null);
    }
    for (int k = 1; k < world; k++) {
      int from = (rank - k + world) % world;
      wire.exchange(from, null, from, heard);
      call.expect(from, heard);
    }
  }

  /**
   * @param parts of this rank's memory, the r-th for rank r; this rank's becomes the sum
   */
  void reduceScatter(Payload payload, MemorySegment[] parts) {
    long longest = 0;
    for (MemorySegment part : parts) {
      longest = Math.max(longest, part.byteSize());
    }
    for (long at = 0; world > 1 && at < longest; at += chunk) {
      sumOfPiece(payload, parts, at);
    }
  }

  private void sumOfPiece(Payload payload, MemorySegment[] parts, long at) {
    MemorySegment mine = piece(parts[rank], at);
    var terms = new MemorySegment[world];
    terms[rank] = mine;
    for (int k = 1; k < world; k++) {
      int to = (rank + k) % world;
      int from = (rank - k + world) % world;
      terms[from] = pieces()[from].asSlice(0, mine.byteSize());
      exchange(to, piece(parts[to], at), from, terms[from]);
    }
    if (mine.byteSize() > 0) {
      RankSum.add(payload, terms, mine);
    }
  }

  private MemorySegment[] pieces() {
    MemorySegment[] made = pieces;
    if (made == null) {
      made = new MemorySegment[world];
      for (int r = 0; r < world; r++) {
        made[r] = r == rank ? MemorySegment.NULL : arena.allocate(chunk, 64);
      }
      pieces = made;
    }
    return made;
  }

  private MemorySegment piece(MemorySegment part, long at) {
    long from = Math.min(at, part.byteSize());
    return part.asSlice(from, Math.min(chunk, part.byteSize() - from));
  }

  /**
   * @param parts of this rank's memory; the r-th comes from rank r
   */
  void allGather(MemorySegment[] parts) {
    for (int k = 1; k < world; k++) {
      int from = (rank - k + world) % world;
      exchange((rank + k) % world, parts[rank], from, parts[from]);
    }
  }

  /**
   * @param out the r-th goes to rank r
   * @param in the r-th comes from rank r
   */
  void allToAll(MemorySegment[] out, MemorySegment[] in) {
    for (int k = 0; k < world; k++) {
      int to = (rank + k) % world;
      int from = (rank - k + world) % world;
      exchange(to, out[to], from, in[from]);
    }
  }

  void broadcast(MemorySegment memory, int root) {
    if (rank != root) {
      exchange(root, MemorySegment.NULL, root, memory);
      return;
    }
    for (int k = 1; k < world; k++) {
      int to = (rank + k) % world;
      exchange(to, memory, to, MemorySegment.NULL);
    }
  }

  /** Sends and receives; empty is nothing, to and from oneself is a copy. */
  void exchange(int to, MemorySegment out, int from, MemorySegment in) {
    if (to == rank && from == rank) {
      in.copyFrom(out);
      return;
    }
    MemorySegment something = out.byteSize() == 0 ? null : out;
    MemorySegment room = in.byteSize() == 0 ? null : in;
    if (something != null || room != null) {
      wire.exchange(to, something, from, room);
    }
  }

  @Override
  public void close() {
    arena.close();
    wire.close();
  }
}
