package io.moextend.checkpoint;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/** SHA-256 over memory of any size. */
final class Sha256 {
  private static final int CHUNK = 1 << 18;

  private Sha256() {}

  static MessageDigest fresh() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java has SHA-256", e);
    }
  }

  static String of(MemorySegment bytes) {
    var sha = fresh();
    add(sha, bytes);
    return hex(sha);
  }

  /**
   * @throws CheckpointException where the bytes cannot be read
   */
  static String of(TensorStream tensor) {
    var sha = fresh();
    try {
      tensor.content().writeTo(bytes -> add(sha, bytes));
    } catch (IOException e) {
      throw new CheckpointException(
          "tensor %s: cannot be read (%s)".formatted(CheckpointException.shown(tensor.name()), e),
          e);
    }
    return hex(sha);
  }

  private static void add(MessageDigest sha, MemorySegment bytes) {
    byte[] chunk = new byte[(int) Math.min(CHUNK, bytes.byteSize())];
    MemorySegment room = MemorySegment.ofArray(chunk);
    for (long at = 0; at < bytes.byteSize(); at += CHUNK) {
      int count = (int) Math.min(CHUNK, bytes.byteSize() - at);
      MemorySegment.copy(bytes, at, room, 0, count);
      sha.update(chunk, 0, count);
    }
  }

  /** Adds a text and its end, so that two texts cannot be mistaken for one. */
  static void addText(MessageDigest sha, String text) {
    sha.update(text.getBytes(StandardCharsets.UTF_8));
    sha.update((byte) 0);
  }

  static String hex(MessageDigest sha) {
    return HexFormat.of().formatHex(sha.digest());
  }
}
