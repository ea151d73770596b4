package io.moextend.comm.aeron;

import java.nio.ByteBuffer;
import java.security.GeneralSecurityException;
import javax.crypto.AEADBadTagException;
import javax.crypto.Cipher;
import javax.crypto.SecretKey;
import javax.crypto.spec.GCMParameterSpec;

/**
 * AES-128-GCM (NIST SP 800-38D) over the frames of one stream. The nonce is the frame's sequence
 * number: unique, since the key is of one stream and one sender's opening alone.
 *
 * <p>Works on heap arrays: there the JDK's vector code is several times as fast as on direct
 * memory.
 */
final class Seal {
  private static final int TAG_BITS = Frame.TAG * Byte.SIZE;

  private final Cipher cipher;
  private final SecretKey key;
  private final byte[] nonce = new byte[12];

  Seal(SecretKey key) {
    this.key = key;
    try {
      this.cipher = Cipher.getInstance("AES/GCM/NoPadding");
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("this Java has no AES-GCM", e);
    }
  }

  /**
   * Encrypts {@code body[0, length)} behind the header that stands in {@code frame[0, HEADER)}.
   *
   * @return bytes of the whole frame
   */
  int close(long sequence, byte[] body, int length, byte[] frame) {
    try {
      cipher.init(Cipher.ENCRYPT_MODE, key, parameters(sequence));
      cipher.updateAAD(frame, 0, Frame.HEADER);
      return Frame.HEADER + cipher.doFinal(body, 0, length, frame, Frame.HEADER);
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("frame " + sequence + " cannot be sealed", e);
    }
  }

  /**
   * Decrypts {@code frame[0, bytes)} into {@code body}.
   *
   * @return false where the tag is not that of this key, header and body; body is then of no use
   */
  boolean open(long sequence, byte[] frame, int bytes, byte[] body) {
    try {
      cipher.init(Cipher.DECRYPT_MODE, key, parameters(sequence));
      cipher.updateAAD(frame, 0, Frame.HEADER);
      cipher.doFinal(frame, Frame.HEADER, bytes - Frame.HEADER, body, 0);
      return true;
    } catch (AEADBadTagException e) {
      return false;
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("frame " + sequence + " cannot be opened", e);
    }
  }

  private GCMParameterSpec parameters(long sequence) {
    ByteBuffer.wrap(nonce).putLong(4, sequence);
    return new GCMParameterSpec(TAG_BITS, nonce);
  }
}
