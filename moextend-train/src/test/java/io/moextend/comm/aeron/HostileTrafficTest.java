package io.moextend.comm.aeron;

import static org.assertj.core.api.Assertions.assertThat;

import io.aeron.Aeron;
import io.aeron.ExclusivePublication;
import io.aeron.driver.MediaDriver;
import io.aeron.driver.ThreadingMode;
import io.aeron.protocol.DataHeaderFlyweight;
import io.aeron.protocol.HeaderFlyweight;
import io.aeron.protocol.SetupFlyweight;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import org.agrona.concurrent.UnsafeBuffer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Strangers who reach the port: nothing of the run is lost, and each is spoken of once. */
class HostileTrafficTest {
  private static final int[] SIZES = {1, 100, 65_408, 65_409, 1_000_003, 3_000_000, 0, 7};
  private final long seed = new Random().nextLong();

  @TempDir Path folder;

  @Test
  void randomDatagramsOnThePortAreDroppedAndSaidOnce() throws Exception {
    var random = new Random(seed);
    during(
        wires -> {
          for (int i = 0; i < 300; i++) {
            byte[] garbage = new byte[random.nextInt(1, 2000)];
            random.nextBytes(garbage);
            send("127.0.0.1", wires.port(0), garbage);
          }
        },
        Refusals.Kind.NOT_AERON,
        "rank 0 drops what 127.0.0.1 sends: datagrams that are no Aeron data");
  }

  @Test
  void aForeignStreamWithOurNumberButNotOurSessionIsNotOpened() throws Exception {
    during(
        wires -> {
          String uri = "aeron:udp?endpoint=127.0.0.1:" + wires.port(0);
          try (var driver = driver();
              var aeron = client(driver);
              ExclusivePublication foreign = aeron.addExclusivePublication(uri, 1 + 2)) {
            pause(300);
            assertThat(foreign.isConnected()).isFalse();
          }
        },
        Refusals.Kind.UNKNOWN_STREAM,
        "rank 0 drops what 127.0.0.1 sends: datagrams of a stream that is not of this run");
  }

  @Test
  void aRankWithAnotherTokenIsNotHeard() throws Exception {
    byte[] other = "another key of sixteen or more".getBytes(StandardCharsets.UTF_8);
    strangerAsRank1(Wires.session(other, 7));
  }

  @Test
  void aRankOfAnEarlierGenerationIsNotHeard() throws Exception {
    strangerAsRank1(Wires.session(Wires.KEY, 6));
  }

  private void strangerAsRank1(Session session) throws Exception {
    during(
        wires -> {
          int port = UdpPorts.free(InetAddress.getLoopbackAddress());
          var channel =
              new Channel.Udp(
                  InetAddress.getLoopbackAddress(),
                  List.of(
                      new Endpoint("127.0.0.1", wires.port(0)), new Endpoint("127.0.0.1", port)));
          var settings =
              new AeronTransport.Settings(
                  1, 2, channel, folder, session, Tuning.patient(Wires.PATIENCE));
          try (var _ = AeronTransport.open(settings, Wires.vigil(1), _ -> {})) {
            pause(300);
          }
        },
        Refusals.Kind.UNKNOWN_STREAM,
        "rank 0 drops what 127.0.0.1 sends: datagrams of a stream that is not of this run");
  }

  @Test
  void ourSessionFromAnotherAddressIsDropped() throws Exception {
    during(
        wires -> send("127.0.0.2", wires.port(0), data(wires)),
        Refusals.Kind.UNKNOWN_ADDRESS,
        "rank 0 drops what 127.0.0.2 sends: datagrams from an address that no rank");
  }

  @Test
  void aStreamOpeningThatWouldTakeAGigabyteIsDropped() throws Exception {
    during(
        wires -> send("127.0.0.1", wires.port(0), opening(wires)),
        Refusals.Kind.WRONG_SIZES,
        "rank 0 drops what 127.0.0.1 sends: stream openings with other sizes");
  }

  /** Two ranks talk, and talk again while the stranger does what he does. */
  private void during(Stranger stranger, Refusals.Kind kind, String said) throws Exception {
    Wires wires = Wires.udp(folder, 2);
    try (AeronTransport zero = wires.open(0);
        AeronTransport one = wires.open(1)) {
      Ring.together(
          () -> talk(zero),
          () -> talk(one),
          () -> {
            stranger.act(wires);
            return null;
          });
      Ring.together(() -> talk(zero), () -> talk(one));
      assertThat(zero.dropped().keySet()).containsExactly(kind);
      assertThat(one.dropped()).isEmpty();
      Ring.closeTogether(zero, one);
    }
    assertThat(wires.reports).singleElement().asString().startsWith(said);
  }

  private Void talk(AeronTransport wire) {
    Ring.check(wire, seed, SIZES);
    return null;
  }

  /** What a stranger does. */
  private interface Stranger {
    void act(Wires wires) throws Exception;
  }

  private static byte[] data(Wires wires) {
    byte[] bytes = new byte[256];
    var header = new DataHeaderFlyweight(new UnsafeBuffer(bytes));
    header.streamId(1 + 2).sessionId(wires.settings(0).session().id(1, 0));
    header.headerType(HeaderFlyweight.HDR_TYPE_DATA).frameLength(256);
    return bytes;
  }

  private static byte[] opening(Wires wires) {
    byte[] bytes = new byte[SetupFlyweight.HEADER_LENGTH];
    var header = new SetupFlyweight(new UnsafeBuffer(bytes));
    header.streamId(1 + 2).sessionId(wires.settings(0).session().id(1, 0));
    header.termLength(1 << 30).mtuLength(1408);
    header.headerType(HeaderFlyweight.HDR_TYPE_SETUP).frameLength(bytes.length);
    return bytes;
  }

  private static void send(String from, int port, byte[] bytes) throws Exception {
    try (var socket = new DatagramSocket(new InetSocketAddress(from, 0))) {
      var to = new InetSocketAddress("127.0.0.1", port);
      socket.send(new DatagramPacket(bytes, bytes.length, to));
    }
  }

  static MediaDriver driver() {
    return MediaDriver.launchEmbedded(
        new MediaDriver.Context()
            .threadingMode(ThreadingMode.SHARED)
            .dirDeleteOnShutdown(true)
            .errorHandler(_ -> {}));
  }

  static Aeron client(MediaDriver driver) {
    return Aeron.connect(
        new Aeron.Context().aeronDirectoryName(driver.aeronDirectoryName()).errorHandler(_ -> {}));
  }

  private static void pause(long millis) throws InterruptedException {
    Thread.sleep(millis);
  }
}
