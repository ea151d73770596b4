package io.moextend.comm.aeron;

import java.net.InetAddress;
import java.net.UnknownHostException;

/**
 * Where a rank takes datagrams.
 *
 * @param host name or number of the address the rank is bound to; its datagrams come from there too
 * @param port of UDP
 */
public record Endpoint(String host, int port) {
  public Endpoint {
    if (host.isBlank() || port < 1 || port > 65535) {
      throw new IllegalArgumentException(
          "no endpoint: host '%s', port %d; want host:port with a port of 1 to 65535"
              .formatted(host, port));
    }
  }

  /**
   * @throws AeronTransportException where the name is not known here
   */
  InetAddress address() {
    try {
      return InetAddress.getByName(host);
    } catch (UnknownHostException e) {
      throw new AeronTransportException(
          "host %s of another rank is not known here; give a name in DNS or /etc/hosts, or a number"
              .formatted(host),
          e);
    }
  }
}
