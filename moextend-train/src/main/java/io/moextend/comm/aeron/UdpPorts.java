package io.moextend.comm.aeron;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketOption;
import java.net.StandardSocketOptions;
import java.nio.channels.DatagramChannel;

/** What this host's network gives. */
public final class UdpPorts {
  private UdpPorts() {}

  /**
   * A port of {@code bind} that nobody has now. Another process may take it before the transport
   * does; the transport then says so.
   *
   * @throws AeronTransportException where the address is not of this host
   */
  public static int free(InetAddress bind) {
    try (DatagramChannel channel = DatagramChannel.open()) {
      channel.bind(new InetSocketAddress(bind, 0));
      return ((InetSocketAddress) channel.getLocalAddress()).getPort();
    } catch (IOException e) {
      throw new AeronTransportException(
          "cannot take UDP datagrams on %s (%s); give an address of this host with --bind"
              .formatted(bind.getHostAddress(), e.getMessage()),
          e);
    }
  }

  /**
   * @throws AeronTransportException where another process has the port
   */
  static void checkFree(InetSocketAddress own) {
    try (DatagramChannel channel = DatagramChannel.open()) {
      channel.bind(own);
    } catch (IOException e) {
      throw new AeronTransportException(
          "cannot take UDP datagrams on %s port %d (%s); is the address of this host, and the port"
                  .formatted(own.getAddress().getHostAddress(), own.getPort(), e.getMessage())
              + " not taken by another process? Start again for another port",
          e);
    }
  }

  /** Bytes the OS gives to a receiver that asks for {@code wanted}. */
  static int receiveBuffer(int wanted) {
    return granted(StandardSocketOptions.SO_RCVBUF, wanted);
  }

  /** Bytes the OS gives to a sender that asks for {@code wanted}. */
  static int sendBuffer(int wanted) {
    return granted(StandardSocketOptions.SO_SNDBUF, wanted);
  }

  private static int granted(SocketOption<Integer> option, int wanted) {
    try (DatagramChannel channel = DatagramChannel.open()) {
      channel.setOption(option, wanted);
      return channel.getOption(option);
    } catch (IOException e) {
      throw new AeronTransportException("cannot open a UDP socket: " + e.getMessage(), e);
    }
  }
}
