package io.moextend.comm.group;

import java.io.ByteArrayOutputStream;
import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;

/** Two ends of an authenticated channel, with a hand on the bytes between them. */
final class SocketPair implements AutoCloseable {
  private final Recording caller;
  private final Socket acceptor;
  private Channel called;

  SocketPair() throws IOException {
    try (var server = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      caller = new Recording(server.getLocalPort());
      acceptor = server.accept();
    }
  }

  /** A socket that remembers what was written last. */
  private static final class Recording extends Socket {
    private final ByteArrayOutputStream last = new ByteArrayOutputStream();

    Recording(int port) throws IOException {
      super(InetAddress.getLoopbackAddress(), port);
    }

    @Override
    public OutputStream getOutputStream() throws IOException {
      return new FilterOutputStream(super.getOutputStream()) {
        @Override
        public void write(byte[] bytes) throws IOException {
          last.reset();
          last.writeBytes(bytes);
          out.write(bytes);
        }
      };
    }
  }

  Channel accepted(Token token) throws Exception {
    Duration limit = Duration.ofSeconds(5);
    var accepting =
        CompletableFuture.supplyAsync(
            () -> {
              try {
                return Channel.answer(acceptor, token, limit);
              } catch (IOException e) {
                throw new AssertionError(e);
              }
            });
    called = Channel.call(caller, token, limit);
    return accepting.get();
  }

  Channel called() {
    return called;
  }

  byte[] lastSent() {
    return caller.last.toByteArray();
  }

  /** What the channel would send next, kept from the other end. */
  byte[] frame(byte type, byte[] payload) throws IOException {
    var other = new ByteArrayOutputStream();
    called.write(type, payload);
    other.writeBytes(lastSent());
    acceptor.getInputStream().readNBytes(lastSent().length);
    return other.toByteArray();
  }

  void raw(byte[] bytes) throws IOException {
    caller.getOutputStream().write(bytes);
  }

  void endOfOutput() throws IOException {
    caller.shutdownOutput();
  }

  @Override
  public void close() throws IOException {
    caller.close();
    acceptor.close();
  }
}
