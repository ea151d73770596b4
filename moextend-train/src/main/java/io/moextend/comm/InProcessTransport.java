package io.moextend.comm;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.function.IntFunction;
import org.jspecify.annotations.Nullable;

/** A wire between threads of one process, a rank each. */
public final class InProcessTransport implements Transport {
  /** Bytes that travel as one. */
  private static final int PIECE = 64 * 1024;

  /** Pieces under way between two ranks before the sender waits. */
  private static final int WINDOW = 64;

  private final int rank;
  private final List<List<ArrayBlockingQueue<byte[]>>> queues;
  private final Vigil vigil;

  private InProcessTransport(int rank, List<List<ArrayBlockingQueue<byte[]>>> queues, Vigil vigil) {
    this.rank = rank;
    this.queues = queues;
    this.vigil = vigil;
  }

  /**
   * The ends of all ranks, in their order.
   *
   * @param vigils by rank
   */
  public static List<InProcessTransport> group(int world, IntFunction<? extends Vigil> vigils) {
    var queues = new ArrayList<List<ArrayBlockingQueue<byte[]>>>();
    for (int sender = 0; sender < world; sender++) {
      var row = new ArrayList<ArrayBlockingQueue<byte[]>>();
      for (int receiver = 0; receiver < world; receiver++) {
        row.add(new ArrayBlockingQueue<>(WINDOW));
      }
      queues.add(row);
    }
    var ends = new ArrayList<InProcessTransport>();
    for (int r = 0; r < world; r++) {
      ends.add(new InProcessTransport(r, queues, vigils.apply(r)));
    }
    return ends;
  }

  @Override
  public int rank() {
    return rank;
  }

  @Override
  public int world() {
    return queues.size();
  }

  @Override
  public void exchange(int to, @Nullable MemorySegment out, int from, @Nullable MemorySegment in) {
    long toSend = out == null ? 0 : out.byteSize();
    long toReceive = in == null ? 0 : in.byteSize();
    ArrayBlockingQueue<byte[]> outward = queues.get(rank).get(to);
    ArrayBlockingQueue<byte[]> inward = queues.get(from).get(rank);
    var idle = new IdleTurns(vigil::waiting);
    long sent = 0;
    long received = 0;
    while (sent < toSend || received < toReceive) {
      long before = sent + received;
      if (out != null && sent < toSend && outward.remainingCapacity() > 0) {
        long size = Math.min(PIECE, toSend - sent);
        outward.add(out.asSlice(sent, size).toArray(ValueLayout.JAVA_BYTE)); // we alone send here
        sent += size;
      }
      if (in != null && received < toReceive) {
        received += receive(inward.poll(), from, in, received);
      }
      if (sent + received == before) {
        idle.pass(received < toReceive ? from : to);
      } else {
        idle.reset();
      }
    }
  }

  private long receive(byte @Nullable [] piece, int from, MemorySegment in, long at) {
    if (piece == null) {
      return 0;
    }
    if (piece.length > in.byteSize() - at) {
      throw new IllegalStateException(
          "rank %d sent %d bytes where rank %d expects %d"
              .formatted(from, piece.length, rank, in.byteSize() - at));
    }
    MemorySegment.copy(piece, 0, in, ValueLayout.JAVA_BYTE, at, piece.length);
    return piece.length;
  }

  @Override
  public void close() {
    // pieces under way are still read by the others
  }
}
