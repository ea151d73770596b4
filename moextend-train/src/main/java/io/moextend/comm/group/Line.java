package io.moextend.comm.group;

import java.io.EOFException;
import java.io.IOException;
import java.net.ConnectException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.time.Duration;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/**
 * A connection on which two threads of its own carry messages, so that neither a slow nor a stopped
 * peer holds up who sends.
 */
public final class Line implements AutoCloseable {
  /** A peer that has not taken this many messages is as good as gone. */
  private static final int MOST_WAITING = 100_000;

  private static final Duration HANDSHAKE = Duration.ofSeconds(5);
  private static final Message END = new Message.Pulse();

  private final Channel channel;
  private final LinkedBlockingQueue<Message> waiting = new LinkedBlockingQueue<>(MOST_WAITING);
  private final Thread writer;
  private volatile boolean closed;

  /** Who listens at this end; called on the line's own thread, one call at a time. */
  public interface Ear {
    void heard(Message message);

    /** Once, when no more will come; also after {@link Line#close}. */
    void ended(String why);
  }

  Line(Channel channel) {
    this.channel = channel;
    this.writer =
        Thread.ofPlatform().daemon().name("to " + channel.remote()).unstarted(this::write);
  }

  /**
   * Calls a rendezvous until one answers.
   *
   * @param patience with nobody there
   * @throws IOException where none came in that time, or one that does not know the token
   */
  public static Line call(InetSocketAddress address, Token token, Duration patience)
      throws IOException, InterruptedException {
    long deadline = System.nanoTime() + patience.toNanos();
    long pause = 20;
    while (true) {
      try {
        return callOnce(address, token);
      } catch (IntruderException e) {
        throw new IOException(
            "the rendezvous at %s is not of this run: %s; MOEXTEND_TOKEN must be the same everywhere"
                .formatted(address, e.getMessage()),
            e);
      } catch (IOException e) {
        if (System.nanoTime() - deadline > 0) {
          throw new IOException(
              "no rendezvous at %s within %d s (%s); is the first host's process up, and its port open?"
                  .formatted(address, patience.toSeconds(), e.getMessage()),
              e);
        }
      }
      Thread.sleep(pause);
      pause = Math.min(2 * pause, 500);
    }
  }

  private static Line callOnce(InetSocketAddress address, Token token) throws IOException {
    // looked up each time: in a cluster the name may be known only when the first host is up
    InetAddress host = InetAddress.getByName(address.getHostString());
    var socket = new Socket();
    try {
      socket.connect(new InetSocketAddress(host, address.getPort()), (int) HANDSHAKE.toMillis());
      if (socket.getLocalPort() == socket.getPort()
          && socket.getLocalAddress().equals(socket.getInetAddress())) {
        throw new ConnectException("nobody listens there");
      }
      return new Line(Channel.call(socket, token, HANDSHAKE));
    } catch (IOException e) {
      socket.close();
      throw e;
    }
  }

  /** Begins to carry. */
  public void start(Ear ear) {
    writer.start();
    Thread.ofPlatform().daemon().name("from " + channel.remote()).start(() -> ear.ended(read(ear)));
  }

  /** Before {@link #start}: sends one message and waits for the answer. */
  Message ask(Message question, Duration timeout) throws IOException {
    tell(question);
    channel.readTimeout(timeout);
    Message answer = MessageFrames.message(channel.read());
    channel.readTimeout(Duration.ZERO);
    return answer;
  }

  /** Before {@link #start}. */
  Message first(Duration timeout) throws IOException {
    channel.readTimeout(timeout);
    Message message = MessageFrames.message(channel.read());
    channel.readTimeout(Duration.ZERO);
    return message;
  }

  /** Before {@link #start}: sends at once. */
  void tell(Message message) throws IOException {
    Channel.Frame frame = MessageFrames.frame(message);
    channel.write(frame.type(), frame.payload());
  }

  /** Hands over; does not wait. Nothing happens where the line has ended. */
  public void send(Message message) {
    if (!waiting.offer(message)) {
      channel.close();
    }
  }

  public InetSocketAddress remote() {
    return channel.remote();
  }

  /** Sends what waits, for a second at most, and hangs up. */
  @Override
  public void close() {
    closed = true;
    send(END);
    if (writer.isAlive() && Thread.currentThread() != writer) {
      try {
        writer.join(Duration.ofSeconds(1));
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
    channel.close();
  }

  /** Hangs up without a word. */
  void cut() {
    closed = true;
    channel.close();
    send(END);
  }

  private String read(Ear ear) {
    try {
      while (true) {
        ear.heard(MessageFrames.message(channel.read()));
      }
    } catch (EOFException e) {
      return closed ? "hung up" : "its connection closed";
    } catch (SocketTimeoutException e) {
      return "it was silent";
    } catch (IOException e) {
      return closed ? "hung up" : "its connection broke: " + e.getMessage();
    } catch (RuntimeException e) {
      return "a fault of ours while listening to it: " + e;
    } finally {
      cut();
    }
  }

  private void write() {
    try {
      while (true) {
        Message next = waiting.poll(1, TimeUnit.MINUTES);
        if (next == END) {
          return;
        }
        if (next != null) {
          tell(next);
        }
      }
    } catch (IOException e) {
      channel.close();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
