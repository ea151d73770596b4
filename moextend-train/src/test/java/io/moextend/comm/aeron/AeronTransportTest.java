package io.moextend.comm.aeron;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AeronTransportTest {
  @TempDir Path folder;

  @Test
  void itListensOnTheBoundAddressAloneAndItsFolderIsTheOwnersAlone() throws Exception {
    Wires wires = Wires.udp(folder, 2);
    List<String> before = listeners();
    try (AeronTransport zero = wires.open(0);
        AeronTransport one = wires.open(1)) {
      Ring.together(() -> talk(zero, 100), () -> talk(one, 100));
      List<String> now = listeners();
      now.removeAll(before);
      // A port to receive on and a connected one to send from for each rank, all on 127.0.0.1.
      assertThat(now).hasSize(4).allMatch(address -> address.startsWith("0100007F:"));
      try (Stream<Path> drivers = Files.list(folder)) {
        for (Path driver : drivers.toList()) {
          assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(driver)))
              .isEqualTo("rwx------");
          assertThat(driver.getFileName().toString())
              .contains("-pid-" + ProcessHandle.current().pid() + "-");
        }
      }
      Ring.closeTogether(zero, one);
    }
    try (Stream<Path> left = Files.list(folder)) {
      assertThat(left).isEmpty();
    }
  }

  /** Local addresses of this process's UDP sockets; empty peers' included. */
  private static List<String> listeners() throws IOException {
    List<String> all = new ArrayList<>();
    List<String> own = new ArrayList<>();
    try (Stream<Path> files = Files.list(Path.of("/proc/self/fd"))) {
      for (Path file : files.toList()) {
        if (Files.isSymbolicLink(file)) {
          own.add(Files.readSymbolicLink(file).toString());
        }
      }
    }
    for (String table : List.of("/proc/net/udp", "/proc/net/udp6")) {
      for (String line : Files.readAllLines(Path.of(table))) {
        String[] fields = line.strip().split("\\s+");
        if (own.contains("socket:[" + fields[9] + "]")) {
          String address = fields[1];
          // JDK sockets are of IPv6; a mapped IPv4 address ends with it.
          all.add(address.substring(Math.max(0, address.indexOf(':') - 8)));
        }
      }
    }
    return all;
  }

  @Test
  void twoHundredExchangesTakeNoMoreMemory() throws Exception {
    Wires wires = Wires.udp(folder, 2);
    int[] sizes = new int[200];
    Arrays.fill(sizes, 300_000);
    try (AeronTransport zero = wires.open(0);
        AeronTransport one = wires.open(1)) {
      Ring.together(() -> talk(zero, sizes), () -> talk(one, sizes));
      System.gc();
      long before = residentBytes();
      Ring.together(() -> talk(zero, sizes), () -> talk(one, sizes));
      System.gc();
      assertThat(residentBytes() - before).isLessThan(96L << 20);
      Ring.closeTogether(zero, one);
    }
  }

  private static long residentBytes() throws IOException {
    return 4096 * Long.parseLong(Files.readString(Path.of("/proc/self/statm")).split(" ")[1]);
  }

  @Test
  void closingTwiceDoesNoHarmAndAClosedWireSaysSo() throws Exception {
    Wires wires = Wires.udp(folder, 2);
    AeronTransport zero = wires.open(0);
    zero.close();
    zero.close();
    assertThatThrownBy(() -> talk(zero, 1)).hasMessage("the transport of rank 0 is closed");
  }

  @Test
  void aTakenPortIsSaidWithItsMend() throws Exception {
    Wires wires = Wires.udp(folder, 2);
    try (var _ = new DatagramSocket(new InetSocketAddress("127.0.0.1", wires.port(0)))) {
      assertThatThrownBy(() -> wires.open(0).close())
          .isInstanceOf(AeronTransportException.class)
          .hasMessageContaining("cannot take UDP datagrams on 127.0.0.1 port " + wires.port(0))
          .hasMessageContaining("Start again for another port");
    }
  }

  @Test
  void anAddressOfAnotherHostCannotBeBound() throws Exception {
    InetAddress elsewhere = InetAddress.getByName("192.0.2.1"); // RFC 5737: nobody's
    assertThatThrownBy(() -> UdpPorts.free(elsewhere))
        .isInstanceOf(AeronTransportException.class)
        .hasMessageContaining("192.0.2.1")
        .hasMessageContaining("--bind");
  }

  @Test
  void aWindowBeyondTheSystemsReceiveBufferIsRefusedWithTheSysctlThatMendsIt() {
    Wires wires = Wires.udp(folder, 2, new Tuning(Wires.PATIENCE, 64 << 20, 1408));
    assertThatThrownBy(() -> wires.open(0).close())
        .isInstanceOf(AeronTransportException.class)
        .hasMessageContaining("the window is 67108864")
        .hasMessageContaining("sysctl -w net.core.rmem_max=");
  }

  @Test
  void aSharedFolderOfAnEarlierRunIsNotTakenOver() {
    Wires wires = Wires.ipc(folder, 2);
    try (var _ = wires.open(0)) {
      assertThatThrownBy(() -> wires.open(0).close())
          .isInstanceOf(AeronTransportException.class)
          .hasMessageContaining("is there already");
    }
  }

  @Test
  void settingsSayWhatTheyWant() {
    assertThatThrownBy(() -> new Tuning(Duration.ZERO, 2 << 20, 0))
        .hasMessageContaining("patience is PT0S");
    assertThatThrownBy(() -> new Tuning(Wires.PATIENCE, 1000, 0))
        .hasMessageContaining("window is 1000 bytes");
    assertThatThrownBy(() -> new Tuning(Wires.PATIENCE, 2 << 20, 1500))
        .hasMessageContaining("multiple of 32");
    assertThatThrownBy(() -> new Session(new byte[15], 0, "world"))
        .hasMessageContaining("15 bytes; want 16 or more");
    assertThatThrownBy(() -> new Endpoint("", 1)).hasMessageContaining("host:port");
  }

  private static Void talk(AeronTransport wire, int... sizes) {
    Ring.check(wire, 5, sizes);
    return null;
  }
}
