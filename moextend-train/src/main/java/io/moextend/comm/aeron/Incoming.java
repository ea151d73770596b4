package io.moextend.comm.aeron;

import io.aeron.Image;
import io.aeron.Subscription;
import io.aeron.logbuffer.ControlledFragmentHandler;
import io.aeron.logbuffer.FrameDescriptor;
import io.aeron.logbuffer.Header;
import io.moextend.comm.PeerLostException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.util.function.Supplier;
import org.agrona.DirectBuffer;
import org.jspecify.annotations.Nullable;

/** The stream from one other rank: puts frames together, opens them, fills the message. */
final class Incoming implements AutoCloseable {
  private static final int FRAGMENTS_A_TURN = 64;

  private final Supplier<@Nullable Subscription> source;
  private final Session session;
  private final int from;
  private final int to;
  private final int sessionId;
  private final Refusals refusals;
  private final byte[] body;
  private final byte[] frame;
  private final ByteBuffer header;
  private final ControlledFragmentHandler handler = this::onFragment;
  private @Nullable Subscription subscription;
  private @Nullable Image image;
  private @Nullable MemorySegment message;
  private @Nullable RuntimeException failure;
  private boolean discarding;
  private boolean ended; // the sender said that nothing more comes
  private long filled;
  private long sequence;
  private int gathered =
      -1; // bytes of the frame under way; negative where its beginning is missing
  private long salt; // of the sender whose first frame had a right tag
  private @Nullable Seal seal;

  /**
   * @param source null until the sender's driver is there
   */
  Incoming(
      Supplier<@Nullable Subscription> source,
      Session session,
      int from,
      int to,
      Refusals refusals) {
    this.source = source;
    this.session = session;
    this.from = from;
    this.to = to;
    this.sessionId = session.id(from, to);
    this.refusals = refusals;
    this.body = new byte[Wiring.LONGEST_BODY];
    this.frame = new byte[Wiring.LONGEST_FRAME];
    this.header = ByteBuffer.wrap(frame, 0, Frame.HEADER);
  }

  void begin(MemorySegment in) {
    if (message != null) {
      throw new IllegalStateException(
          "rank %d misses %d bytes of an earlier message of rank %d; after a failed exchange"
                  .formatted(to, message.byteSize() - filled, from)
              + " the transport can only be closed");
    }
    message = in.byteSize() == 0 ? null : in;
    filled = 0;
  }

  /** Whether the message is whole. */
  boolean done() {
    return message == null;
  }

  /**
   * @return fragments that came
   * @throws PeerLostException where the other has closed its end, or a frame is lost for good
   */
  int advance() {
    Image current = image();
    if (message == null || current == null) {
      return 0;
    }
    if (ended) {
      throw gone();
    }
    int came = current.controlledPoll(handler, FRAGMENTS_A_TURN);
    if (failure != null) {
      throw failure;
    }
    if (ended || came == 0 && message != null && (current.isClosed() || current.isEndOfStream())) {
      throw gone();
    }
    return came;
  }

  private PeerLostException gone() {
    return new PeerLostException(
        from, "rank %d has closed its end while rank %d waits for it".formatted(from, to));
  }

  /** Throws away what comes until the sender has said that nothing more does, or is gone. */
  boolean ended() {
    discarding = true;
    Image current = image();
    if (current != null && !ended && failure == null) {
      current.controlledPoll(handler, FRAGMENTS_A_TURN);
    }
    return ended
        || failure != null
        || (current != null && (current.isClosed() || current.isEndOfStream()));
  }

  private @Nullable Image image() {
    if (image == null && attached() && subscription != null) {
      image = subscription.imageBySessionId(sessionId);
    }
    return image;
  }

  /** Whether the sender finds someone who listens, after another look for its driver. */
  boolean attached() {
    if (subscription == null) {
      subscription = source.get();
    }
    return subscription != null;
  }

  private ControlledFragmentHandler.Action onFragment(
      DirectBuffer buffer, int offset, int length, Header fragment) {
    if ((fragment.flags() & FrameDescriptor.BEGIN_FRAG_FLAG) != 0) {
      gathered = 0;
    }
    if (gathered >= 0) {
      // Past the longest frame only the length is kept, to be refused at the end.
      if (gathered + length <= frame.length) {
        buffer.getBytes(offset, frame, gathered, length);
      }
      gathered = Math.min(gathered + length, frame.length + 1);
    }
    if ((fragment.flags() & FrameDescriptor.END_FRAG_FLAG) == 0) {
      return ControlledFragmentHandler.Action.CONTINUE;
    }
    int bytes = gathered;
    gathered = -1;
    try {
      accept(bytes);
    } catch (RuntimeException e) {
      failure = e; // Aeron would hand it to its error handler and go on
    }
    return (message == null && !discarding) || ended || failure != null
        ? ControlledFragmentHandler.Action.BREAK
        : ControlledFragmentHandler.Action.CONTINUE;
  }

  private void accept(int bytes) {
    MemorySegment in = message;
    Refusals.Kind fault = fault(bytes);
    if (fault != null) {
      refusals.add(fault, "rank " + from);
      return;
    }
    Frame came = Frame.read(header);
    if (came.sequence() != sequence) {
      failure =
          new PeerLostException(
              from,
              "frame %d of rank %d never came to rank %d, frame %d did; dropped until now: %s"
                  .formatted(sequence, from, to, came.sequence(), refusals.counts()));
    } else if (came.total() == 0) {
      ended = true;
    } else if (in == null || discarding) {
      sequence++;
    } else if (came.total() != in.byteSize() || came.length() > in.byteSize() - filled) {
      failure =
          new PeerLostException(
              from,
              "rank %d sends a message of %d bytes where rank %d wants %d; are they in one call?"
                  .formatted(from, came.total(), to, in.byteSize()));
    } else {
      MemorySegment.copy(body, 0, in, ValueLayout.JAVA_BYTE, filled, came.length());
      filled += came.length();
      sequence++;
      message = filled == in.byteSize() ? null : in;
    }
  }

  /** Null where the frame is the sender's own, this one or a later one; its body is then open. */
  private Refusals.@Nullable Kind fault(int bytes) {
    if (bytes < Frame.OVERHEAD || bytes > frame.length || !Frame.hasMagic(header)) {
      return bytes > frame.length ? Refusals.Kind.OVERSIZE : Refusals.Kind.GARBAGE;
    }
    Frame came = Frame.read(header);
    if (came.generation() != session.generation()) {
      return Refusals.Kind.OTHER_GENERATION;
    }
    if (came.from() != from || came.to() != to) {
      return Refusals.Kind.MISADDRESSED;
    }
    if (came.length() != bytes - Frame.OVERHEAD || (came.length() == 0) != (came.total() == 0)) {
      return Refusals.Kind.OVERSIZE;
    }
    if (came.sequence() < sequence) {
      return Refusals.Kind.REPLAYED;
    }
    return opens(came, bytes) ? null : Refusals.Kind.FORGED;
  }

  private boolean opens(Frame came, int bytes) {
    if (seal != null) {
      return came.salt() == salt && seal.open(came.sequence(), frame, bytes, body);
    }
    Seal candidate = new Seal(session.key(from, to, came.salt()));
    if (!candidate.open(came.sequence(), frame, bytes, body)) {
      return false;
    }
    salt = came.salt();
    seal = candidate;
    return true;
  }

  @Override
  public void close() {
    if (subscription != null) {
      subscription.close();
    }
  }
}
