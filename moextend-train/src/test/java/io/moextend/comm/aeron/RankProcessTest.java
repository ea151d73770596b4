package io.moextend.comm.aeron;

import static org.assertj.core.api.Assertions.assertThat;

import java.net.InetAddress;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class RankProcessTest {
  private static final Duration LONG = Duration.ofSeconds(60);

  @TempDir Path folder;

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void aStoppedProcessGoesOnWhereItWas(boolean udp) throws Exception {
    int[] ports = ports();
    try (var zero = RankProcess.start(0, folder, udp, 300, LONG, ports);
        var one = RankProcess.start(1, folder, udp, 300, LONG, ports)) {
      one.awaitLine("round 10");
      one.signal("STOP");
      Thread.sleep(5_000);
      one.signal("CONT");
      assertThat(zero.awaitLine("done")).isEqualTo("done {}");
      assertThat(one.awaitLine("done")).isEqualTo("done {}");
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void aKilledProcessIsNamedWithinTheOthersPatience(boolean udp) throws Exception {
    int[] ports = ports();
    try (var zero = RankProcess.start(0, folder, udp, 1_000_000, Duration.ofSeconds(6), ports);
        var one = RankProcess.start(1, folder, udp, 1_000_000, Duration.ofSeconds(6), ports)) {
      one.awaitLine("round 10");
      one.signal("KILL");
      long killed = System.nanoTime();
      assertThat(zero.awaitLine("lost"))
          .startsWith("lost 1: rank 0 has waited 6 s in round ")
          .endsWith("for rank 1; is it stopped, or gone?");
      assertThat(Duration.ofNanos(System.nanoTime() - killed)).isLessThan(Duration.ofSeconds(12));
    }
  }

  private static int[] ports() {
    InetAddress loopback = InetAddress.getLoopbackAddress();
    return new int[] {UdpPorts.free(loopback), UdpPorts.free(loopback)};
  }
}
