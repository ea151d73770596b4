package io.moextend.comm.group;

import java.io.Closeable;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.Arrays;
import javax.crypto.Mac;

/**
 * Authenticated frames over TCP; not encrypted.
 *
 * <p>Handshake: the caller sends {@code "MoExtnd1"} and 32 random bytes; the other side answers
 * with 32 random bytes and HMAC(token, "server", both); the caller, having checked it, sends
 * HMAC(token, "client", both). Each has then shown that it knows the token, which was not sent. A
 * frame is {@code [length: int][type: byte][sequence: long][payload][MAC: 16 bytes]}, the MAC keyed
 * for this connection and direction, so a frame of another connection, or sent twice, is refused.
 *
 * <p>One thread reads; any may write.
 */
final class Channel implements Closeable {
  /** Most bytes of a payload; checked before anything is allocated for it. */
  static final int LIMIT = 64 << 10;

  private static final byte[] MAGIC = "MoExtnd1".getBytes(StandardCharsets.US_ASCII);
  private static final int NONCE = 32;
  private static final int PROOF = 32;
  private static final int HEADER = 4 + 1 + 8;
  private static final int TAG = 16;

  private final Socket socket;
  private final InputStream in;
  private final OutputStream out;
  private final Mac reading;
  private final Mac writing;
  private final Object writeLock = new Object();
  private long lastRead;
  private long lastWritten;

  /** One message as it stands on the wire. */
  record Frame(byte type, byte[] payload) {}

  private Channel(Socket socket, byte[] readKey, byte[] writeKey) throws IOException {
    this.socket = socket;
    this.in = socket.getInputStream();
    this.out = socket.getOutputStream();
    this.reading = Token.mac(readKey);
    this.writing = Token.mac(writeKey);
  }

  /** The caller's side of the handshake. Closes nothing where it fails. */
  static Channel call(Socket socket, Token token, Duration timeout) throws IOException {
    long deadline = System.nanoTime() + timeout.toNanos();
    byte[] mine = nonce();
    socket.setTcpNoDelay(true);
    socket.getOutputStream().write(ByteBuffer.allocate(8 + NONCE).put(MAGIC).put(mine).array());
    byte[] theirs = read(socket, NONCE, deadline);
    byte[] proof = read(socket, PROOF, deadline);
    if (!MessageDigest.isEqual(proof, token.sign(word("server"), mine, theirs))) {
      throw new IntruderException("wrong token", "it does not know this run's token");
    }
    socket.getOutputStream().write(token.sign(word("client"), mine, theirs));
    socket.setSoTimeout(0);
    return new Channel(
        socket,
        token.sign(word("to client"), mine, theirs),
        token.sign(word("to server"), mine, theirs));
  }

  /** The listening side of the handshake. Closes nothing where it fails. */
  static Channel answer(Socket socket, Token token, Duration timeout) throws IOException {
    long deadline = System.nanoTime() + timeout.toNanos();
    socket.setTcpNoDelay(true);
    if (!Arrays.equals(read(socket, MAGIC.length, deadline), MAGIC)) {
      throw new IntruderException("garbage", "what came first is not ours");
    }
    byte[] theirs = read(socket, NONCE, deadline);
    byte[] mine = nonce();
    byte[] proof = token.sign(word("server"), theirs, mine);
    socket.getOutputStream().write(ByteBuffer.allocate(NONCE + PROOF).put(mine).put(proof).array());
    if (!MessageDigest.isEqual(
        read(socket, PROOF, deadline), token.sign(word("client"), theirs, mine))) {
      throw new IntruderException("wrong token", "it does not know this run's token");
    }
    socket.setSoTimeout(0);
    return new Channel(
        socket,
        token.sign(word("to server"), theirs, mine),
        token.sign(word("to client"), theirs, mine));
  }

  /** Returns when the system has taken the bytes. */
  void write(byte type, byte[] payload) throws IOException {
    if (payload.length > LIMIT) {
      throw new IllegalArgumentException(
          "a message of %d bytes is over %d".formatted(payload.length, LIMIT));
    }
    synchronized (writeLock) {
      byte[] frame = new byte[HEADER + payload.length + TAG];
      ByteBuffer buffer = ByteBuffer.wrap(frame);
      buffer.putInt(payload.length).put(type).putLong(++lastWritten).put(payload);
      writing.update(frame, 0, HEADER + payload.length);
      buffer.put(writing.doFinal(), 0, TAG);
      out.write(frame);
    }
  }

  /**
   * Waits for the next frame.
   *
   * @throws EOFException where the other side closed between frames
   * @throws IntruderException where the frame is too long, forged, or not the next one
   */
  Frame read() throws IOException {
    byte[] header = in.readNBytes(HEADER);
    if (header.length < HEADER) {
      throw new EOFException("closed by the other side");
    }
    ByteBuffer words = ByteBuffer.wrap(header);
    int length = words.getInt();
    byte type = words.get();
    long sequence = words.getLong();
    if (length < 0 || length > LIMIT) {
      throw new IntruderException(
          "oversize frame",
          "a frame says it has %d bytes, the most is %d".formatted(length, LIMIT));
    }
    byte[] rest = in.readNBytes(length + TAG);
    if (rest.length < length + TAG) {
      throw new EOFException("closed by the other side within a frame");
    }
    reading.update(header);
    reading.update(rest, 0, length);
    byte[] tag = Arrays.copyOf(reading.doFinal(), TAG);
    if (!MessageDigest.isEqual(tag, Arrays.copyOfRange(rest, length, rest.length))) {
      throw new IntruderException("forged frame", "a frame's MAC is wrong");
    }
    if (sequence != lastRead + 1) {
      throw new IntruderException(
          "replayed frame", "frame %d came where %d is due".formatted(sequence, lastRead + 1));
    }
    lastRead = sequence;
    return new Frame(type, Arrays.copyOf(rest, length));
  }

  InetSocketAddress remote() {
    return (InetSocketAddress) socket.getRemoteSocketAddress();
  }

  /** Reads wait no longer than this; zero = for ever. */
  void readTimeout(Duration limit) throws IOException {
    socket.setSoTimeout(Math.toIntExact(limit.toMillis()));
  }

  @Override
  public void close() {
    try {
      socket.close();
    } catch (IOException e) {
      // it is of no use any more, whatever the system says about it
    }
  }

  private static byte[] nonce() {
    byte[] bytes = new byte[NONCE];
    new SecureRandom().nextBytes(bytes);
    return bytes;
  }

  private static byte[] word(String label) {
    return ("moextend " + label + " ").getBytes(StandardCharsets.US_ASCII);
  }

  /** Exactly so many bytes before the deadline, however slowly they drip. */
  private static byte[] read(Socket socket, int length, long deadline) throws IOException {
    byte[] bytes = new byte[length];
    int filled = 0;
    while (filled < length) {
      long left = (deadline - System.nanoTime()) / 1_000_000;
      if (left <= 0) {
        throw new SocketTimeoutException("no handshake in time");
      }
      socket.setSoTimeout((int) left);
      int read = socket.getInputStream().read(bytes, filled, length - filled);
      if (read < 0) {
        throw new EOFException("closed by the other side during the handshake");
      }
      filled += read;
    }
    return bytes;
  }
}
