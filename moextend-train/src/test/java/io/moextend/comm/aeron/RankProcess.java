package io.moextend.comm.aeron;

import io.moextend.comm.Patience;
import io.moextend.comm.PeerLostException;
import java.io.BufferedReader;
import java.io.IOException;
import java.net.InetAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** A rank that is a process of its own: exchanges until it has done its rounds, then closes. */
final class RankProcess implements AutoCloseable {
  private final Process process;
  private final BufferedReader lines;

  private RankProcess(Process process) {
    this.process = process;
    this.lines = process.inputReader(StandardCharsets.UTF_8);
  }

  static RankProcess start(
      int rank, Path folder, boolean udp, int rounds, Duration patience, int... ports)
      throws IOException {
    Path flags = Path.of("").toAbsolutePath();
    while (!Files.exists(flags.resolve("scripts/jvm.flags"))) {
      flags = flags.getParent();
    }
    var command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "@" + flags.resolve("scripts/jvm.flags"),
                "-Xmx256m",
                "-cp",
                System.getProperty("java.class.path"),
                RankProcess.class.getName()));
    command.addAll(List.of("" + rank, folder.toString(), "" + udp, "" + rounds));
    command.addAll(List.of(patience.toString(), "" + ports[0], "" + ports[1]));
    return new RankProcess(new ProcessBuilder(command).redirectErrorStream(true).start());
  }

  /** Reads what it says until a line that starts so. */
  String awaitLine(String start) throws IOException {
    var heard = new ArrayList<String>();
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      heard.add(line);
      if (line.startsWith(start)) {
        return line;
      }
    }
    throw new AssertionError("never said '" + start + "', but " + heard);
  }

  void signal(String name) throws Exception {
    Process kill = new ProcessBuilder("kill", "-" + name, "" + process.pid()).start();
    if (kill.waitFor() != 0) {
      throw new AssertionError("cannot send SIG" + name);
    }
  }

  @Override
  public void close() throws InterruptedException {
    process.destroyForcibly();
    process.waitFor(10, TimeUnit.SECONDS);
  }

  public static void main(String[] arguments) throws Exception {
    int rank = Integer.parseInt(arguments[0]);
    InetAddress loopback = InetAddress.getLoopbackAddress();
    var endpoints =
        List.of(
            new Endpoint("127.0.0.1", Integer.parseInt(arguments[5])),
            new Endpoint("127.0.0.1", Integer.parseInt(arguments[6])));
    Channel channel =
        Boolean.parseBoolean(arguments[2])
            ? new Channel.Udp(loopback, endpoints)
            : new Channel.Ipc();
    Duration patience = Duration.parse(arguments[4]);
    var vigil = new Patience(rank, patience);
    try (AeronTransport wire =
        AeronTransport.open(
            new AeronTransport.Settings(
                rank,
                2,
                channel,
                Path.of(arguments[1]),
                Wires.session(Wires.KEY, 7),
                Tuning.patient(patience)),
            vigil,
            System.out::println)) {
      for (int round = 0; round < Integer.parseInt(arguments[3]); round++) {
        vigil.entered(round + 1, "round " + round);
        Ring.check(wire, round, 500_000);
        System.out.println("round " + round);
      }
      System.out.println("done " + wire.dropped());
    } catch (PeerLostException e) {
      System.out.println("lost " + e.rank() + ": " + e.getMessage());
    }
  }
}
