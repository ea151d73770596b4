package io.moextend.comm.aeron;

import com.google.errorprone.annotations.MustBeClosed;
import io.aeron.driver.MediaDriver;
import io.moextend.comm.Transport;
import io.moextend.comm.Vigil;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;
import org.agrona.concurrent.BackoffIdleStrategy;
import org.jspecify.annotations.Nullable;

/**
 * A wire over Aeron, which numbers what it sends, asks again for what was lost and holds a sender
 * back whose receiver is slow. Every ordered pair of ranks has a stream of its own.
 *
 * <p>Opening does not wait for the other ranks; the first exchange with each does. What of other
 * runs, generations or strangers reaches this rank is dropped, counted, and reported once for each
 * kind and sender. A frame of a peer that is lost for good, which takes someone who writes into the
 * stream knowing its number and from the peer's address, ends the exchange with an error: wrong
 * bytes are never returned.
 */
public final class AeronTransport implements Transport {
  /**
   * Who this rank is and where its wire lies.
   *
   * @param directory parent of the driver's own folder; best in /dev/shm. For IPC the same one for
   *     all ranks of the group and used for one generation; for UDP any
   */
  public record Settings(
      int rank, int world, Channel channel, Path directory, Session session, Tuning tuning) {
    public Settings {
      if (world < 1 || rank < 0 || rank >= world) {
        throw new IllegalArgumentException("no rank %d among %d".formatted(rank, world));
      }
      if (channel instanceof Channel.Udp udp && udp.endpoints().size() != world) {
        throw new IllegalArgumentException(
            "%d endpoints for %d ranks".formatted(udp.endpoints().size(), world));
      }
    }
  }

  private final Settings settings;
  private final Vigil vigil;
  private final Streams streams;
  private final BackoffIdleStrategy idle = new BackoffIdleStrategy(20, 50, 1_000, 100_000);

  private AeronTransport(Settings settings, Vigil vigil, Streams streams) {
    this.settings = settings;
    this.vigil = vigil;
    this.streams = streams;
  }

  /**
   * @param vigil asked in every idle turn of an exchange
   * @param report hears in one sentence each what was dropped and what failed inside Aeron; called
   *     from several threads
   * @throws AeronTransportException where port, socket buffers, memory or folder cannot be had
   */
  @MustBeClosed
  public static AeronTransport open(Settings settings, Vigil vigil, Consumer<String> report) {
    return open(settings, vigil, report, UnaryOperator.identity());
  }

  @MustBeClosed
  static AeronTransport open(
      Settings settings,
      Vigil vigil,
      Consumer<String> report,
      UnaryOperator<MediaDriver.Context> change) {
    return new AeronTransport(settings, vigil, Streams.open(settings, report, change));
  }

  @Override
  public int rank() {
    return settings.rank();
  }

  @Override
  public int world() {
    return settings.world();
  }

  @Override
  public void exchange(int to, @Nullable MemorySegment out, int from, @Nullable MemorySegment in) {
    Outgoing sending = out == null ? null : streams.to(to);
    Incoming receiving = in == null ? null : streams.from(from);
    if (sending != null && out != null) {
      sending.begin(out);
    }
    if (receiving != null && in != null) {
      receiving.begin(in);
    }
    boolean whole = false;
    try {
      move(to, sending, from, receiving);
      whole = true;
    } finally {
      if (!whole) {
        streams.breakOff();
      }
    }
  }

  private void move(int to, @Nullable Outgoing sending, int from, @Nullable Incoming receiving) {
    idle.reset();
    while (true) {
      int work = sending == null ? 0 : sending.advance();
      work += receiving == null ? 0 : receiving.advance();
      boolean received = receiving == null || receiving.done();
      if (received && (sending == null || sending.done())) {
        return;
      }
      if (work == 0) {
        streams.attachToNewcomers();
        vigil.waiting(received ? to : from);
      }
      idle.idle(work);
    }
  }

  /** What was dropped until now, by kind. */
  Map<Refusals.Kind, Long> dropped() {
    return streams.dropped();
  }

  /**
   * Waits, for five seconds at most, until the others close too, since what was sent to them may
   * still be on its way; not after a failed exchange. Then gives back port, memory and folder.
   * Twice does no harm.
   */
  @Override
  public void close() {
    streams.close();
  }
}
