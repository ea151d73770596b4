package io.moextend.comm.group;

import io.moextend.config.ConfigException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.InvalidKeyException;
import java.security.NoSuchAlgorithmException;
import java.security.SecureRandom;
import java.util.HexFormat;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/** The secret all processes of one run share. Never sent, never printed: it keys HMACs. */
public final class Token {
  private static final int LEAST_CHARACTERS = 16;
  private static final int MOST_BYTES = 4096;
  private static final String ALGORITHM = "HmacSHA256";

  private final String text;

  private Token(String text) {
    this.text = text;
  }

  /**
   * @param where the text came from, for messages
   * @throws ConfigException where it is too short to be a secret
   */
  public static Token of(String where, String text) {
    String trimmed = text.strip();
    if (trimmed.length() < LEAST_CHARACTERS || trimmed.length() > MOST_BYTES) {
      throw new ConfigException(
          "%s holds %d characters; a token has at least %d: write one with  openssl rand -hex 32"
              .formatted(where, trimmed.length(), LEAST_CHARACTERS));
    }
    return new Token(trimmed);
  }

  /** Of a file that holds nothing else. */
  public static Token read(Path file) {
    try {
      if (Files.size(file) > MOST_BYTES) {
        throw new ConfigException(
            "%s is longer than %d bytes; a token file holds the token alone"
                .formatted(file, MOST_BYTES));
      }
      return of(file.toString(), Files.readString(file));
    } catch (IOException e) {
      throw new ConfigException(
          "the token file %s cannot be read (%s); write one with  openssl rand -hex 32 > %s"
              .formatted(file, e, file),
          e);
    }
  }

  /** A fresh one of 32 random bytes. */
  public static Token random() {
    byte[] bytes = new byte[32];
    new SecureRandom().nextBytes(bytes);
    return new Token(HexFormat.of().formatHex(bytes));
  }

  /**
   * What a run on loopback has where nobody gave a token. It is no secret: it keeps strangers'
   * bytes apart, not other users of this host.
   */
  public static Token ofLoopback() {
    return new Token("moextend-on-loopback-without-a-token");
  }

  /** For the environment of a child process; nowhere else. */
  public String secret() {
    return text;
  }

  /** HMAC-SHA256 with the token as key, 32 bytes. */
  public byte[] sign(byte[]... parts) {
    Mac mac = mac(text.getBytes(StandardCharsets.UTF_8));
    for (byte[] part : parts) {
      mac.update(part);
    }
    return mac.doFinal();
  }

  /** An HMAC-SHA256 with a key of its own. */
  static Mac mac(byte[] key) {
    try {
      Mac mac = Mac.getInstance(ALGORITHM);
      mac.init(new SecretKeySpec(key, ALGORITHM));
      return mac;
    } catch (NoSuchAlgorithmException | InvalidKeyException e) {
      throw new IllegalStateException("every JDK has " + ALGORITHM, e);
    }
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Token t && t.text.equals(text);
  }

  @Override
  public int hashCode() {
    return text.hashCode();
  }

  @Override
  public String toString() {
    return "Token[hidden]";
  }
}
