package io.moextend.comm.aeron;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.aeron.Aeron;
import io.aeron.ExclusivePublication;
import io.aeron.driver.MediaDriver;
import io.moextend.comm.PeerLostException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Map;
import org.agrona.concurrent.UnsafeBuffer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Someone who knows the stream and sits at the peer's address writes into it. */
class ForgedFramesTest {
  private static final Session OURS = Wires.session(Wires.KEY, 7);
  private static final long SALT = 99;

  @TempDir Path folder;
  private Wires wires;
  private AeronTransport zero;
  private MediaDriver driver;
  private Aeron aeron;
  private ExclusivePublication stream;

  @BeforeEach
  void open() {
    wires = Wires.udp(folder, 2);
    zero = wires.open(0);
    driver = HostileTrafficTest.driver();
    aeron = HostileTrafficTest.client(driver);
    String uri =
        "aeron:udp?endpoint=127.0.0.1:%d|interface=127.0.0.1:0|term-length=4m|session-id=%d"
            .formatted(wires.port(0), OURS.id(1, 0));
    stream = aeron.addExclusivePublication(uri, 1 + 2);
  }

  @AfterEach
  void close() {
    aeron.close();
    driver.close();
    zero.close();
  }

  @Test
  void everyKindOfBadFrameIsDroppedAndTheGoodOnesBetweenThemArrive() {
    byte[] good0 = frame(OURS, 1, 0, 7, SALT, 0, 6, "abc");
    byte[] changed = good0.clone();
    changed[Frame.HEADER] ^= 1;
    byte[] otherKey = "another key of sixteen or more".getBytes(StandardCharsets.UTF_8);
    offer("garbage".getBytes(StandardCharsets.UTF_8));
    offer(new byte[2000]);
    offer(changed);
    offer(frame(Wires.session(otherKey, 7), 1, 0, 7, SALT, 0, 6, "xxx"));
    offer(frame(Wires.session(Wires.KEY, 6), 1, 0, 6, SALT, 0, 6, "old"));
    offer(frame(OURS, 0, 1, 7, SALT, 0, 6, "you"));
    offer(good0);
    offer(good0);
    offer(frame(OURS, 1, 0, 7, SALT + 1, 1, 6, "two")); // of a sender who opened at another time
    offer(new byte[100_000]);
    offer(frame(OURS, 1, 0, 7, SALT, 1, 6, "def"));
    assertThat(receive(6)).isEqualTo("abcdef");
    assertThat(zero.dropped())
        .isEqualTo(
            Map.of(
                Refusals.Kind.GARBAGE, 2L,
                Refusals.Kind.FORGED, 3L,
                Refusals.Kind.OTHER_GENERATION, 1L,
                Refusals.Kind.MISADDRESSED, 1L,
                Refusals.Kind.REPLAYED, 1L,
                Refusals.Kind.OVERSIZE, 1L));
    assertThat(wires.reports)
        .hasSize(6)
        .contains("rank 0 drops what rank 1 sends: frames of another generation");
  }

  @Test
  void aFrameThatIsLostForGoodEndsTheExchange() {
    offer(frame(OURS, 1, 0, 7, SALT, 0, 6, "abc"));
    offer(frame(OURS, 1, 0, 7, SALT, 2, 6, "def"));
    assertThatThrownBy(() -> receive(6))
        .isInstanceOf(PeerLostException.class)
        .hasMessageContaining("frame 1 of rank 1 never came to rank 0, frame 2 did");
    assertThatThrownBy(() -> receive(6)).hasMessageContaining("can only be closed");
  }

  @Test
  void aMessageOfAnotherSizeThanWantedEndsTheExchange() {
    offer(frame(OURS, 1, 0, 7, SALT, 0, 3, "abc"));
    assertThatThrownBy(() -> receive(6))
        .isInstanceOf(PeerLostException.class)
        .hasMessageContaining("rank 1 sends a message of 3 bytes where rank 0 wants 6");
  }

  @Test
  void aPeerThatClosesWhileItIsWaitedForIsNamedAtOnce() {
    offer(frame(OURS, 1, 0, 7, SALT, 0, 0, ""));
    assertThatThrownBy(() -> receive(6))
        .isInstanceOf(PeerLostException.class)
        .hasMessage("rank 1 has closed its end while rank 0 waits for it");
  }

  private static byte[] frame(
      Session session,
      int from,
      int to,
      long generation,
      long salt,
      long sequence,
      long total,
      String body) {
    byte[] text = body.getBytes(StandardCharsets.UTF_8);
    byte[] frame = new byte[text.length + Frame.OVERHEAD];
    new Frame(text.length, from, to, generation, salt, sequence, total)
        .write(ByteBuffer.wrap(frame));
    new Seal(session.key(from, to, salt)).close(sequence, text, text.length, frame);
    return frame;
  }

  private void offer(byte[] bytes) {
    var buffer = new UnsafeBuffer(bytes);
    while (stream.offer(buffer, 0, bytes.length) < 0) {
      Thread.onSpinWait();
    }
  }

  private String receive(int bytes) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment in = arena.allocate(bytes);
      zero.exchange(1, null, 1, in);
      return new String(in.toArray(ValueLayout.JAVA_BYTE), StandardCharsets.UTF_8);
    }
  }
}
