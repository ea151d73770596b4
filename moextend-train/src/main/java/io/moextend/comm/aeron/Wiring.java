package io.moextend.comm.aeron;

import io.aeron.ChannelUriStringBuilder;
import io.aeron.logbuffer.LogBufferDescriptor;
import io.aeron.protocol.DataHeaderFlyweight;
import io.moextend.comm.aeron.AeronTransport.Settings;
import java.io.IOException;
import java.net.Inet6Address;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.NetworkInterface;
import java.net.SocketException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Map;

/** Names, numbers and sizes of one rank's streams, as its settings have them. */
final class Wiring {
  /** Payload of the longest datagram: no frame of ours is longer, whatever the MTU. */
  static final int LONGEST_FRAME = Tuning.LONGEST_MTU - DataHeaderFlyweight.HEADER_LENGTH;

  static final int LONGEST_BODY = LONGEST_FRAME - Frame.OVERHEAD;
  private static final int IP_AND_UDP_HEADERS = 48; // of IPv6; IPv4 has 28
  private static final int MTU_WHERE_UNKNOWN = 1408;
  private static final int PAGE = 4096;

  private final Settings settings;

  Wiring(Settings settings) {
    this.settings = settings;
  }

  /** Not zero, which Aeron keeps for itself. */
  int stream(int from, int to) {
    return 1 + from * settings.world() + to;
  }

  /** Of a rank's driver. Others must find it where they share memory. */
  Path folder(int rank) {
    return switch (settings.channel()) {
      case Channel.Ipc() ->
          settings
              .directory()
              .resolve("generation-%d-rank-%d".formatted(settings.session().generation(), rank));
      case Channel.Udp _ -> {
        byte[] unique = new byte[4];
        new SecureRandom().nextBytes(unique);
        String name = "moextend-rank-%d-pid-%d-%s";
        yield settings
            .directory()
            .resolve(
                name.formatted(
                    rank, ProcessHandle.current().pid(), HexFormat.of().formatHex(unique)));
      }
    };
  }

  String outgoing(int to) {
    ChannelUriStringBuilder uri =
        new ChannelUriStringBuilder()
            .sessionId(settings.session().id(settings.rank(), to))
            .termLength(settings.tuning().termBytes())
            .mtu(mtu());
    return switch (settings.channel()) {
      case Channel.Ipc() -> uri.media("ipc").build();
      case Channel.Udp udp -> {
        if (!udp.bind().isAnyLocalAddress()) {
          uri.networkInterface(hostPort(udp.bind(), 0));
        }
        Endpoint peer = udp.endpoints().get(to);
        yield uri.media("udp").endpoint(hostPort(peer.address(), peer.port())).build();
      }
    };
  }

  String incoming(int from) {
    ChannelUriStringBuilder uri =
        new ChannelUriStringBuilder().sessionId(settings.session().id(from, settings.rank()));
    return switch (settings.channel()) {
      case Channel.Ipc() -> uri.media("ipc").build();
      case Channel.Udp udp ->
          uri.media("udp").endpoint(hostPort(udp.bind(), own(udp).getPort())).build();
    };
  }

  InetSocketAddress own(Channel.Udp udp) {
    return new InetSocketAddress(udp.bind(), udp.endpoints().get(settings.rank()).port());
  }

  /** What datagrams may come in, by stream. */
  Map<Integer, DatagramGate.Admitted> admitted(Channel.Udp udp) {
    Map<Integer, DatagramGate.Admitted> streams = new HashMap<>();
    for (int from = 0; from < settings.world(); from++) {
      if (from != settings.rank()) {
        streams.put(
            stream(from, settings.rank()),
            new DatagramGate.Admitted(
                settings.session().id(from, settings.rank()),
                udp.endpoints().get(from).address(),
                settings.tuning().termBytes()));
      }
    }
    return streams;
  }

  /** Of the frames that this rank sends: whole datagrams' worth, 64 KiB at most. */
  int bodyBytes() {
    int payload = mtu() - DataHeaderFlyweight.HEADER_LENGTH;
    return LONGEST_FRAME / payload * payload - Frame.OVERHEAD;
  }

  int mtu() {
    if (settings.tuning().mtuBytes() != Tuning.AUTO_MTU) {
      return settings.tuning().mtuBytes();
    }
    return switch (settings.channel()) {
      case Channel.Ipc() -> Tuning.LONGEST_MTU;
      case Channel.Udp udp -> {
        int whole = interfaceMtu(udp.bind()) - IP_AND_UDP_HEADERS;
        yield Math.min(Tuning.LONGEST_MTU, whole / 32 * 32);
      }
    };
  }

  private static int interfaceMtu(InetAddress bind) {
    try {
      NetworkInterface network = NetworkInterface.getByInetAddress(bind);
      return network == null ? MTU_WHERE_UNKNOWN + IP_AND_UDP_HEADERS : network.getMTU();
    } catch (SocketException e) {
      throw new AeronTransportException(
          "cannot ask for the MTU of " + bind.getHostAddress() + "; give one with --mtu", e);
    }
  }

  /**
   * @throws AeronTransportException where the OS or the file system gives too little
   */
  void check() {
    Tuning tuning = settings.tuning();
    if (settings.channel() instanceof Channel.Udp udp) {
      int given = UdpPorts.receiveBuffer(tuning.windowBytes());
      if (given < tuning.windowBytes()) {
        throw new AeronTransportException(
            ("this host gives a UDP socket %d bytes to receive into, the window is %d; run sysctl"
                    + " -w net.core.rmem_max=%d on it, or give a smaller window")
                .formatted(given, tuning.windowBytes(), 2 * tuning.windowBytes()));
      }
      if (UdpPorts.sendBuffer(tuning.windowBytes()) < mtu()) {
        throw new AeronTransportException(
            ("this host gives a UDP socket less than one datagram of %d bytes to send from; run"
                    + " sysctl -w net.core.wmem_max=%d on it, or give a smaller MTU")
                .formatted(mtu(), tuning.windowBytes()));
      }
      UdpPorts.checkFree(own(udp));
    }
    checkSpace();
  }

  private void checkSpace() {
    try {
      long usable = Files.getFileStore(settings.directory()).getUsableSpace();
      if (usable < mappedBytes()) {
        throw new AeronTransportException(
            "%s has %d bytes left, the streams of %d ranks need %d; make room, or give a smaller window"
                .formatted(settings.directory(), usable, settings.world(), mappedBytes()));
      }
    } catch (IOException e) {
      throw new AeronTransportException(
          "cannot look at %s (%s); it must be a folder that can be written, as /dev/shm"
              .formatted(settings.directory(), e.getMessage()),
          e);
    }
  }

  /** Of this rank's files in the folder, at most; they take memory as they are used. */
  long mappedBytes() {
    int peers = settings.world() - 1;
    int streams = settings.channel() instanceof Channel.Udp ? 2 * peers : peers;
    return streams * LogBufferDescriptor.computeLogLength(settings.tuning().termBytes(), PAGE)
        + (16L << 20);
  }

  private static String hostPort(InetAddress address, int port) {
    String host = address.getHostAddress();
    return address instanceof Inet6Address ? "[%s]:%d".formatted(host, port) : host + ":" + port;
  }
}
