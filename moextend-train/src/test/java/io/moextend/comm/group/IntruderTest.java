package io.moextend.comm.group;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What strangers send to the rendezvous is dropped and told once; the run does not notice. */
@Timeout(60)
class IntruderTest {
  private static final Duration SECONDS = Duration.ofSeconds(5);

  private Gathered ranks;
  private Future<Group> zero;
  private Future<Group> one;

  @BeforeEach
  void start() throws Exception {
    ranks = new Gathered();
    zero = ranks.join(ranks.rank(0, 2, 0, false, Gathered.TOKEN), Gathered.LIMITS);
    Gathered.await("listening", this::listens);
  }

  private boolean listens() {
    try (Socket socket = socket()) {
      return socket.isConnected();
    } catch (IOException e) {
      return false;
    }
  }

  /** The run is whole whatever came: the other rank joins, and both go on. */
  @AfterEach
  void theRunGoesOn() throws Exception {
    if (one == null) {
      one = ranks.join(ranks.rank(1, 2, 0, false, Gathered.TOKEN), Gathered.LIMITS);
    }
    Gathered.got(one).requireWhole();
    Gathered.got(zero).requireWhole();
    ranks.close();
  }

  private Socket socket() throws IOException {
    var socket = new Socket("127.0.0.1", ranks.port());
    socket.setSoTimeout(10_000);
    return socket;
  }

  private static boolean hungUp(Socket socket) throws IOException {
    try {
      while (socket.getInputStream().read() >= 0) {
        continue;
      }
      return true;
    } catch (java.net.SocketException e) {
      return true; // reset: it hung up with bytes unread
    }
  }

  private void assertTold(String part) throws InterruptedException {
    Gathered.await(part, () -> ranks.logged(part));
    assertThat(ranks.log.stream().filter(l -> l.contains(part))).hasSize(1);
  }

  @Test
  void garbageIsDroppedAndToldOnce() throws Exception {
    var random = new Random(7);
    for (int i = 0; i < 20; i++) {
      try (Socket socket = socket()) {
        byte[] garbage = new byte[1 + random.nextInt(500)];
        random.nextBytes(garbage);
        socket.getOutputStream().write(garbage);
        socket.shutdownOutput();
        assertThat(hungUp(socket)).isTrue();
      }
    }
    assertTold("(garbage: what came first is not ours)");
  }

  @Test
  void whoSaysNothingIsDroppedAfterTheHandshakesTime() throws Exception {
    try (Socket socket = socket()) {
      long since = System.nanoTime();
      assertThat(hungUp(socket)).isTrue();
      assertThat(Duration.ofNanos(System.nanoTime() - since))
          .isBetween(Duration.ofSeconds(4), Duration.ofSeconds(20));
    }
  }

  @Test
  void aWrongTokenIsDroppedByTheServer() throws Exception {
    try (Socket socket = socket()) {
      var out = new DataOutputStream(socket.getOutputStream());
      out.writeBytes("MoExtnd1");
      out.write(new byte[32]);
      new DataInputStream(socket.getInputStream()).readFully(new byte[64]);
      out.write(new byte[32]);
      assertThat(hungUp(socket)).isTrue();
    }
    assertTold("(wrong token: it does not know this run's token)");
  }

  @Test
  void aWrongTokenIsNoticedByTheCaller() throws Exception {
    try (Socket socket = socket()) {
      Token other = Token.of("the test", "the secret of another run");
      assertThatThrownBy(() -> Channel.call(socket, other, SECONDS))
          .isInstanceOf(IntruderException.class)
          .hasMessage("it does not know this run's token");
    }
  }

  @Test
  void anOversizeFrameIsDroppedBeforeItIsRead() throws Exception {
    try (Socket socket = socket();
        Channel channel = Channel.call(socket, Gathered.TOKEN, SECONDS)) {
      assertThatThrownBy(() -> channel.write((byte) 1, new byte[Channel.LIMIT + 1]))
          .isInstanceOf(IllegalArgumentException.class);
      ByteBuffer header =
          ByteBuffer.allocate(13).putInt(Integer.MAX_VALUE).put((byte) 1).putLong(1);
      socket.getOutputStream().write(header.array());
      assertThat(hungUp(socket)).isTrue();
    }
    assertTold("(oversize frame: a frame says it has 2147483647 bytes, the most is 65536)");
  }

  @Test
  void aForgedFrameIsDropped() throws Exception {
    try (Socket socket = socket();
        Channel channel = Channel.call(socket, Gathered.TOKEN, SECONDS)) {
      assertThat(channel.remote().getPort()).isEqualTo(ranks.port());
      ByteBuffer frame = ByteBuffer.allocate(13 + 16).putInt(0).put((byte) 7).putLong(1);
      socket.getOutputStream().write(frame.array());
      assertThat(hungUp(socket)).isTrue();
    }
    assertTold("(forged frame: a frame's MAC is wrong)");
  }

  @Test
  void aFrameOfAnotherConnectionOrSentTwiceIsRefused() throws Exception {
    List<byte[]> sent = new ArrayList<>();
    try (var pair = new SocketPair();
        Channel there = pair.accepted(Gathered.TOKEN)) {
      Channel here = pair.called();
      here.write((byte) 7, new byte[] {1, 2, 3});
      byte[] frame = pair.lastSent();
      sent.add(frame);
      assertThat(there.read().payload()).containsExactly(1, 2, 3);
      pair.raw(frame);
      assertThatThrownBy(there::read)
          .isInstanceOf(IntruderException.class)
          .hasMessage("frame 1 came where 2 is due");
    }
    try (var pair = new SocketPair();
        Channel there = pair.accepted(Gathered.TOKEN)) {
      pair.raw(sent.getFirst());
      assertThatThrownBy(there::read)
          .isInstanceOf(IntruderException.class)
          .hasMessage("a frame's MAC is wrong");
    }
  }

  @Test
  void everyFlippedBitOfAFrameIsNoticed() throws Exception {
    var random = new Random(11);
    for (int i = 0; i < 30; i++) {
      try (var pair = new SocketPair();
          Channel there = pair.accepted(Gathered.TOKEN)) {
        byte[] frame = pair.frame((byte) 7, new byte[] {1, 2, 3});
        int bit = random.nextInt(frame.length * 8);
        frame[bit / 8] ^= (byte) (1 << bit % 8);
        pair.raw(Arrays.copyOf(frame, frame.length));
        pair.endOfOutput();
        assertThatThrownBy(there::read)
            .as("bit %d", bit)
            .isInstanceOfAny(IntruderException.class, EOFException.class);
      }
    }
  }

  @Test
  void anUnknownMessageIsDropped() throws Exception {
    try (Socket socket = socket();
        Channel channel = Channel.call(socket, Gathered.TOKEN, SECONDS)) {
      channel.write((byte) 99, new byte[4]);
      assertThat(hungUp(socket)).isTrue();
    }
    assertTold("a message of type 99; is it another version?");
  }

  @Test
  void manyCallersAtOnceDoNotKeepARankOut() throws Exception {
    var idle = new ArrayList<Socket>();
    try {
      for (int i = 0; i < 200; i++) {
        idle.add(socket());
      }
      one = ranks.join(ranks.rank(1, 2, 0, false, Gathered.TOKEN), Gathered.LIMITS);
      assertThat(Gathered.got(one).rank()).isEqualTo(1);
      assertTold("(too many callers");
    } finally {
      for (Socket socket : idle) {
        socket.close();
      }
    }
  }
}
