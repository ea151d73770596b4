package io.moextend.comm.aeron;

import io.aeron.CommonContext;
import io.aeron.ExclusivePublication;
import io.aeron.Publication;
import io.moextend.comm.PeerLostException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.security.SecureRandom;
import org.agrona.concurrent.UnsafeBuffer;
import org.jspecify.annotations.Nullable;

/** The stream to one other rank: cuts messages into frames, seals them, offers them to Aeron. */
final class Outgoing implements AutoCloseable {
  /** Before the loop looks at what has come in. */
  private static final int FRAMES_A_TURN = 4;

  private final ExclusivePublication publication;
  private final Session session;
  private final int from;
  private final int to;
  private final long salt = new SecureRandom().nextLong();
  private final Seal seal;
  private final byte[] body;
  private final byte[] frame;
  private final ByteBuffer header;
  private final UnsafeBuffer offered;
  private @Nullable MemorySegment message;
  private long sealed; // bytes of the message that are in frames
  private long sequence;
  private int waiting; // bytes of a sealed frame that Aeron has not taken yet
  private boolean ending;
  private boolean wasConnected;

  /**
   * @param bodyBytes of a whole frame
   */
  Outgoing(ExclusivePublication publication, Session session, int from, int to, int bodyBytes) {
    this.publication = publication;
    this.session = session;
    this.from = from;
    this.to = to;
    this.seal = new Seal(session.key(from, to, salt));
    this.body = new byte[bodyBytes];
    this.frame = new byte[bodyBytes + Frame.OVERHEAD];
    this.header = ByteBuffer.wrap(frame, 0, Frame.HEADER);
    this.offered = new UnsafeBuffer(frame);
  }

  void begin(MemorySegment out) {
    if (message != null) {
      throw new IllegalStateException(
          "rank %d has %d bytes of an earlier message to rank %d not sent; after a failed exchange"
                  .formatted(from, message.byteSize() - sealed, to)
              + " the transport can only be closed");
    }
    message = out.byteSize() == 0 ? null : out;
    sealed = 0;
  }

  /** Whether Aeron has the whole message. */
  boolean done() {
    return message == null;
  }

  /**
   * Tells the other, after all else, that nothing more comes. One who has stopped listening, be it
   * between two looks at {@link #isConnected}, needs not be told.
   *
   * @return whether Aeron has taken it, or nobody is left to hear it
   */
  boolean end() {
    if (!ending) {
      ending = true;
      sealed = 0;
      seal(MemorySegment.NULL, 0);
    }
    if (waiting == 0) {
      return true;
    }
    long position = offer();
    return position > 0 || position == Publication.NOT_CONNECTED;
  }

  /** Whether somebody listens. */
  boolean isConnected() {
    return publication.isConnected();
  }

  /** Whether all that Aeron took is on its way; in shared memory it has arrived with that. */
  boolean isSent() {
    return publication.channel().startsWith(CommonContext.IPC_CHANNEL)
        || publication.positionLimit() - publication.termBufferLength() / 2
            >= publication.position();
  }

  /**
   * @return frames that were taken
   * @throws PeerLostException where the other has closed its end
   */
  int advance() {
    int taken = 0;
    while (message != null && taken < FRAMES_A_TURN) {
      if (waiting == 0 && sealed < message.byteSize()) {
        seal(message, (int) Math.min(body.length, message.byteSize() - sealed));
      }
      if (waiting > 0 && !offered()) {
        break;
      }
      taken++;
      if (sealed == message.byteSize()) {
        message = null;
      }
    }
    return taken;
  }

  private void seal(MemorySegment out, int length) {
    MemorySegment.copy(out, ValueLayout.JAVA_BYTE, sealed, body, 0, length);
    new Frame(length, from, to, session.generation(), salt, sequence, out.byteSize()).write(header);
    waiting = seal.close(sequence, body, length, frame);
    sealed += length;
    sequence++;
  }

  private boolean offered() {
    boolean listened = wasConnected;
    long position = offer();
    if (position == Publication.NOT_CONNECTED && listened) {
      throw new PeerLostException(
          to, "rank %d has closed its end while rank %d sends to it".formatted(to, from));
    }
    return position > 0;
  }

  /** Aeron's answer to the waiting frame: a position, or why it was not taken. */
  private long offer() {
    long position = publication.offer(offered, 0, waiting);
    if (position > 0) {
      waiting = 0;
    }
    if (position == Publication.CLOSED || position == Publication.MAX_POSITION_EXCEEDED) {
      throw new IllegalStateException(
          "rank %d's stream to rank %d is closed: %s"
              .formatted(from, to, Publication.errorString(position)));
    }
    wasConnected |= position != Publication.NOT_CONNECTED;
    return position;
  }

  @Override
  public void close() {
    publication.close();
  }
}
