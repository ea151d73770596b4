package io.moextend.comm.aeron;

import io.aeron.Aeron;
import io.aeron.ExclusivePublication;
import io.aeron.Subscription;
import io.aeron.driver.MediaDriver;
import io.aeron.driver.ReceiveChannelEndpointSupplier;
import io.aeron.exceptions.AeronException;
import io.moextend.comm.aeron.AeronTransport.Settings;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;
import org.agrona.CloseHelper;
import org.jspecify.annotations.Nullable;

/** All streams of one rank, and the driver below them. */
final class Streams implements AutoCloseable {
  private static final Duration LINGER = Duration.ofSeconds(5);

  private final Settings settings;
  private final Wiring wiring;
  private final Consumer<String> report;
  private final Refusals refusals;
  private final EmbeddedDriver driver;
  private final Map<Integer, Outgoing> outgoing = new HashMap<>();
  private final Map<Integer, Incoming> incoming = new HashMap<>();
  private final List<Aeron> clientsOfOthers = new ArrayList<>();
  private boolean allAttached;
  private boolean broken;
  private boolean closed;

  private Streams(
      Settings settings, Consumer<String> report, EmbeddedDriver driver, Refusals refusals) {
    this.settings = settings;
    this.wiring = new Wiring(settings);
    this.report = report;
    this.refusals = refusals;
    this.driver = driver;
  }

  static Streams open(
      Settings settings, Consumer<String> report, UnaryOperator<MediaDriver.Context> change) {
    Wiring wiring = new Wiring(settings);
    wiring.check();
    Refusals refusals = new Refusals(settings.rank(), report);
    ReceiveChannelEndpointSupplier gate =
        switch (settings.channel()) {
          case Channel.Ipc() -> null;
          case Channel.Udp udp -> {
            Map<Integer, DatagramGate.Admitted> admitted = wiring.admitted(udp);
            yield (channel, dispatcher, status, context) ->
                new DatagramGate(channel, dispatcher, status, context, admitted, refusals);
          }
        };
    EmbeddedDriver driver =
        EmbeddedDriver.launch(
            wiring.folder(settings.rank()), settings.tuning(), gate, report, change);
    Streams made = new Streams(settings, report, driver, refusals);
    try {
      made.connect();
      return made;
    } catch (AeronException e) {
      CloseHelper.quietClose(made);
      throw new AeronTransportException(
          "rank %d's wire cannot be laid: %s; see whether its port and addresses are right"
              .formatted(settings.rank(), e.getMessage()),
          e);
    } catch (RuntimeException e) {
      CloseHelper.quietClose(made);
      throw e;
    }
  }

  private void connect() {
    int rank = settings.rank();
    for (int peer = 0; peer < settings.world(); peer++) {
      if (peer != rank) {
        Subscription early =
            settings.channel() instanceof Channel.Udp
                ? driver.client().addSubscription(wiring.incoming(peer), wiring.stream(peer, rank))
                : null;
        int from = peer;
        incoming.put(
            peer,
            new Incoming(
                () -> early == null ? attach(from) : early,
                settings.session(),
                peer,
                rank,
                refusals));
      }
    }
    for (int peer = 0; peer < settings.world(); peer++) {
      if (peer != rank) {
        ExclusivePublication publication =
            driver
                .client()
                .addExclusivePublication(wiring.outgoing(peer), wiring.stream(rank, peer));
        outgoing.put(
            peer, new Outgoing(publication, settings.session(), rank, peer, wiring.bodyBytes()));
      }
    }
  }

  /** Subscribes at another rank's driver on this host; null until that is there. */
  private @Nullable Subscription attach(int from) {
    Path folder = wiring.folder(from);
    if (!EmbeddedDriver.isUp(folder, wiring.folder(settings.rank()))) {
      return null;
    }
    Aeron client = EmbeddedDriver.connect(folder, settings.tuning(), report);
    clientsOfOthers.add(client);
    return client.addSubscription(wiring.incoming(from), wiring.stream(from, settings.rank()));
  }

  Outgoing to(int peer) {
    checkOpen();
    return of(outgoing, peer);
  }

  Incoming from(int peer) {
    checkOpen();
    return of(incoming, peer);
  }

  /**
   * Looks for drivers that were not there yet: ranks may all send before anyone of them listens.
   */
  void attachToNewcomers() {
    if (!allAttached) {
      boolean all = true;
      for (Incoming stream : incoming.values()) {
        all &= stream.attached();
      }
      allAttached = all;
    }
  }

  private void checkOpen() {
    if (closed) {
      throw new IllegalStateException(
          "the transport of rank %d is closed".formatted(settings.rank()));
    }
  }

  private <T> T of(Map<Integer, T> streams, int peer) {
    T stream = streams.get(peer);
    if (stream == null) {
      throw new IllegalStateException(
          "rank %d of %d has no stream with rank %d"
              .formatted(settings.rank(), settings.world(), peer));
    }
    return stream;
  }

  Map<Refusals.Kind, Long> dropped() {
    return refusals.counts();
  }

  @Override
  public void close() {
    if (closed) {
      return;
    }
    closed = true;
    if (!broken) {
      part();
    }
    CloseHelper.quietCloseAll(outgoing.values());
    CloseHelper.quietCloseAll(incoming.values());
    CloseHelper.quietCloseAll(clientsOfOthers);
    driver.close();
  }

  /** Nobody who still listens to this rank, or is heard by it, is left before both have ended. */
  private void part() {
    long end = System.nanoTime() + LINGER.toNanos();
    Set<Integer> left = new HashSet<>(outgoing.keySet());
    while (!left.isEmpty() && System.nanoTime() < end) {
      left.removeIf(
          peer -> {
            Outgoing to = of(outgoing, peer);
            boolean said = !to.isConnected() || (to.end() && to.isSent());
            return said && (of(incoming, peer).ended() || !to.isConnected());
          });
      LockSupport.parkNanos(200_000);
    }
  }

  /** After an exchange failed: the streams stand in the middle of a message. */
  void breakOff() {
    broken = true;
  }
}
