package io.moextend.comm.aeron;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.comm.Patience;
import io.moextend.comm.Vigil;
import java.net.InetAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.stream.IntStream;

/** Settings of the ranks of a small group on this host, and what they reported. */
final class Wires {
  static final byte[] KEY = "the key of the run under test".getBytes(StandardCharsets.UTF_8);
  static final Duration PATIENCE = Duration.ofSeconds(30);

  private final Path folder;
  private final Channel channel;
  private final int world;
  private final Tuning tuning;
  final List<String> reports = Collections.synchronizedList(new ArrayList<>());

  private Wires(Path folder, Channel channel, int world, Tuning tuning) {
    this.folder = folder;
    this.channel = channel;
    this.world = world;
    this.tuning = tuning;
  }

  static Wires udp(Path folder, int world) {
    return udp(folder, world, Tuning.patient(PATIENCE));
  }

  static Wires udp(Path folder, int world, Tuning tuning) {
    InetAddress loopback = InetAddress.getLoopbackAddress();
    List<Endpoint> endpoints =
        IntStream.range(0, world)
            .mapToObj(_ -> new Endpoint("127.0.0.1", UdpPorts.free(loopback)))
            .toList();
    return new Wires(folder, new Channel.Udp(loopback, endpoints), world, tuning);
  }

  static Wires ipc(Path folder, int world) {
    return new Wires(folder, new Channel.Ipc(), world, Tuning.patient(PATIENCE));
  }

  AeronTransport.Settings settings(int rank) {
    return settings(rank, session(KEY, 7));
  }

  AeronTransport.Settings settings(int rank, Session session) {
    return new AeronTransport.Settings(rank, world, channel, folder, session, tuning);
  }

  static Session session(byte[] key, long generation) {
    return new Session(key, generation, "world");
  }

  int port(int rank) {
    return ((Channel.Udp) channel).endpoints().get(rank).port();
  }

  @MustBeClosed
  AeronTransport open(int rank) {
    return open(rank, vigil(rank));
  }

  @MustBeClosed
  AeronTransport open(int rank, Vigil vigil) {
    return AeronTransport.open(settings(rank), vigil, reports::add);
  }

  static Vigil vigil(int rank) {
    var vigil = new Patience(rank, PATIENCE);
    vigil.entered(1, "the test");
    return vigil;
  }
}
