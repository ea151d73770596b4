package io.moextend.comm.aeron;

import java.net.InetAddress;
import java.util.List;

/** What the frames go over. */
public sealed interface Channel {
  /**
   * Memory that processes of one host share. Needs one {@link AeronTransport.Settings#directory}
   * for all ranks of the group, fresh for each generation.
   */
  record Ipc() implements Channel {}

  /**
   * Datagrams.
   *
   * @param bind the one local address that is listened on and sent from; the address of this rank's
   *     endpoint. 0.0.0.0 only where a user asked for it
   * @param endpoints of all ranks, by rank
   */
  record Udp(InetAddress bind, List<Endpoint> endpoints) implements Channel {
    public Udp {
      endpoints = List.copyOf(endpoints);
    }
  }
}
