package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.comm.group.Line;
import io.moextend.comm.group.Token;
import java.io.IOException;
import java.net.ConnectException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Others on the ports of a run: it says so and cannot begin, or does not mind them. */
@Timeout(200)
class StrangersTest {
  private static final InetAddress HERE = InetAddress.getLoopbackAddress();
  private static final long SEED = 17;

  @TempDir Path folder;

  private Workspace work;

  @BeforeEach
  void makeWorkspace() {
    work = new Workspace(folder).startFrom("moextend_ft_rand").configured();
  }

  private RanksRun start(int port, int steps) throws IOException {
    return RanksRun.start(
        work,
        work.output(),
        List.of("--nproc-per-node", "2", "--master-port", String.valueOf(port)),
        List.of("training.per_device_train_batch_size=1", "training.max_steps=" + steps));
  }

  /** A port that is free, as is the one above it. */
  private static int freePort() throws IOException {
    while (true) {
      try (var first = new ServerSocket(0, 1, HERE)) {
        int port = first.getLocalPort();
        try (var second = new ServerSocket(port + 1, 1, HERE)) {
          assertThat(second.isBound()).isTrue();
          return port;
        } catch (IOException | IllegalArgumentException e) {
          continue;
        }
      }
    }
  }

  @Test
  void aPortThatIsTakenIsNamedWithTheMend() throws Exception {
    int port = freePort();
    for (int taken : List.of(port, port + 1)) {
      try (var other = new ServerSocket(taken, 1, HERE);
          RanksRun run = start(port, 2)) {
        assertThat(run.code()).as(run::said).isEqualTo(2);
        assertThat(run.said())
            .contains("moextend: cannot listen on 127.0.0.1:" + other.getLocalPort())
            .contains("take a free")
            .doesNotContain("[rank", "\tat ");
      }
    }
  }

  @Test
  void strangersOnThePortOfATrainingRunAreToldOfOnceAndChangeNothing() throws Exception {
    int port = freePort();
    try (RanksRun run = start(port, 40)) {
      run.awaitSteps(2);
      var address = new InetSocketAddress(HERE, port + 1);
      byte[] noise = new byte[100_000];
      new Random(SEED).nextBytes(noise);
      byte[] hello = "MoExtnd1".getBytes(StandardCharsets.US_ASCII);
      for (int i = 0; i < 3; i++) {
        send(address, noise);
        // knows how a call begins, and then gives what another call may have had as its proof
        send(address, hello, new byte[32], new byte[32]);
        send(address, hello, new byte[32], new byte[32], frameOfTwoGigabytes());
        assertThatThrownBy(() -> Line.call(address, Token.random(), Duration.ofSeconds(10)).close())
            .hasMessageContaining("token");
      }
      try (var silent = new Socket(address.getAddress(), address.getPort())) {
        assertThat(silent.isConnected()).isTrue();
        assertThat(run.code()).as(run::said).isZero();
      }
      assertThat(run.said().lines().filter(l -> l.contains("(garbage:"))).hasSize(1);
      assertThat(run.said().lines().filter(l -> l.contains("(wrong token:"))).hasSize(1);
      assertThat(run.said()).contains("the run goes on").doesNotContain("broken off", "killed");
      run.requireNothingLeft();
    }
  }

  private static byte[] frameOfTwoGigabytes() {
    return new byte[] {0x7f, -1, -1, -1, 1, 0, 0, 0, 0, 0, 0, 0, 1};
  }

  private static void send(InetSocketAddress address, byte[]... parts) throws IOException {
    try (var socket = new Socket(address.getAddress(), address.getPort())) {
      socket.setSoTimeout(5000);
      for (byte[] part : parts) {
        socket.getOutputStream().write(part);
      }
      while (socket.getInputStream().read() >= 0) {
        // until it hangs up
      }
    } catch (SocketException e) {
      assertThat(e).as("hung up").isNotInstanceOf(ConnectException.class);
    }
  }
}
