package io.moextend.comm.aeron;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import javax.crypto.KDF;
import javax.crypto.SecretKey;
import javax.crypto.spec.HKDFParameterSpec;

/**
 * Who belongs together: all keys come from here, by HKDF-SHA256 (RFC 5869) over the run's key, the
 * generation, the group and the two ranks.
 */
public final class Session {
  private static final int SHORTEST_KEY = 16;
  private static final int AES_KEY_BYTES = 16;

  private final byte[] runKey;
  private final long generation;
  private final String group;

  /**
   * @param runKey secret of the run, 16 bytes or more of full randomness
   * @param generation counts the group's restarts; no two groups of ranks may ever share key,
   *     generation and name
   * @param group names one group of ranks among those of the run, as "world" or "hosts-0"
   */
  public Session(byte[] runKey, long generation, String group) {
    if (runKey.length < SHORTEST_KEY) {
      throw new IllegalArgumentException(
          "the run's key has %d bytes; want %d or more".formatted(runKey.length, SHORTEST_KEY));
    }
    this.runKey = runKey.clone();
    this.generation = generation;
    this.group = group;
  }

  long generation() {
    return generation;
  }

  /**
   * Number of the Aeron session from one rank to another; whoever lacks the key cannot guess it.
   */
  int id(int from, int to) {
    return ByteBuffer.wrap(derive("session id", from, to, 0, Integer.BYTES).getEncoded()).getInt();
  }

  /**
   * Key of one stream.
   *
   * @param salt drawn anew by every sender that opens, so that no key meets the same nonce twice
   */
  SecretKey key(int from, int to, long salt) {
    return derive("frames", from, to, salt, AES_KEY_BYTES);
  }

  private SecretKey derive(String purpose, int from, int to, long salt, int bytes) {
    byte[] name = ("moextend " + purpose + " " + group).getBytes(StandardCharsets.UTF_8);
    ByteBuffer info = ByteBuffer.allocate(name.length + 3 * Long.BYTES);
    info.put(name).putLong(generation).putInt(from).putInt(to).putLong(salt);
    try {
      return KDF.getInstance("HKDF-SHA256")
          .deriveKey(
              "AES", HKDFParameterSpec.ofExtract().addIKM(runKey).thenExpand(info.array(), bytes));
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("this Java has no HKDF-SHA256; MoExtend needs JDK 25", e);
    }
  }

  @Override
  public String toString() {
    return "generation %d of %s".formatted(generation, group);
  }
}
