package io.moextend.comm.aeron;

import io.aeron.driver.DataPacketDispatcher;
import io.aeron.driver.MediaDriver;
import io.aeron.driver.media.ReceiveChannelEndpoint;
import io.aeron.driver.media.UdpChannel;
import io.aeron.logbuffer.FrameDescriptor;
import io.aeron.protocol.DataHeaderFlyweight;
import io.aeron.protocol.HeaderFlyweight;
import io.aeron.protocol.SetupFlyweight;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.util.Map;
import org.agrona.concurrent.UnsafeBuffer;
import org.agrona.concurrent.status.AtomicCounter;
import org.jspecify.annotations.Nullable;

/**
 * Looks at every datagram before Aeron does, so that a stranger can neither open a stream here,
 * which would cost memory of a size that he names, nor write into one without knowing its number
 * and the address it comes from. What passes is still only believed once its frame's tag is right.
 */
final class DatagramGate extends ReceiveChannelEndpoint {
  /** One stream that may come in. */
  record Admitted(int sessionId, InetAddress source, int termBytes) {}

  private final Map<Integer, Admitted> streams;
  private final Refusals refusals;
  private final SetupFlyweight setup = new SetupFlyweight();
  private @Nullable InetSocketAddress source;

  /**
   * @param streams by stream number
   */
  DatagramGate(
      UdpChannel channel,
      DataPacketDispatcher dispatcher,
      AtomicCounter status,
      MediaDriver.Context context,
      Map<Integer, Admitted> streams,
      Refusals refusals) {
    super(channel, dispatcher, status, context);
    this.streams = Map.copyOf(streams);
    this.refusals = refusals;
  }

  @Override
  public @Nullable InetSocketAddress receive(ByteBuffer datagram) {
    source = super.receive(datagram); // isValidFrame is asked next, on the same thread
    return source;
  }

  @Override
  public boolean isValidFrame(UnsafeBuffer buffer, int length) {
    Refusals.Kind fault = super.isValidFrame(buffer, length) ? fault(buffer, length) : NOT_AERON;
    if (fault != null) {
      refusals.add(fault, source == null ? "someone" : source.getAddress().getHostAddress());
    }
    return fault == null;
  }

  private static final Refusals.Kind NOT_AERON = Refusals.Kind.NOT_AERON;

  private Refusals.@Nullable Kind fault(UnsafeBuffer buffer, int length) {
    int type = FrameDescriptor.frameType(buffer, 0);
    boolean opens = type == HeaderFlyweight.HDR_TYPE_SETUP;
    boolean carries = type == HeaderFlyweight.HDR_TYPE_DATA || type == HeaderFlyweight.HDR_TYPE_PAD;
    if (!(carries && length >= DataHeaderFlyweight.HEADER_LENGTH)
        && !(opens && length >= SetupFlyweight.HEADER_LENGTH)) {
      return NOT_AERON;
    }
    // Both kinds have the two numbers at the same places.
    Admitted stream = streams.get(DataHeaderFlyweight.streamId(buffer, 0));
    if (stream == null || stream.sessionId() != DataHeaderFlyweight.sessionId(buffer, 0)) {
      return Refusals.Kind.UNKNOWN_STREAM;
    }
    if (source == null || !stream.source().equals(source.getAddress())) {
      return Refusals.Kind.UNKNOWN_ADDRESS;
    }
    if (opens) {
      setup.wrap(buffer, 0, length);
      if (setup.termLength() != stream.termBytes() || setup.mtuLength() > Tuning.LONGEST_MTU) {
        return Refusals.Kind.WRONG_SIZES;
      }
    }
    return null;
  }
}
