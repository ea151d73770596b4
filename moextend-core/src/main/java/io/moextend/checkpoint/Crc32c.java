package io.moextend.checkpoint;

import java.lang.foreign.MemorySegment;
import java.util.HexFormat;
import java.util.zip.CRC32C;

/**
 * CRC-32C (Castagnoli) over memory of any size, as eight hexadecimal digits. It finds what disks
 * and wires damage at the speed of memory; against intent there is {@link Sha256}.
 */
final class Crc32c {
  /** What a value looks like. */
  static final String FORM = "[0-9a-f]{8}";

  private static final long CHUNK = 1 << 28;
  private static final int COPIED = 1 << 18;

  private Crc32c() {}

  static String of(MemorySegment bytes) {
    var crc = new CRC32C();
    if (bytes.isNative()) {
      for (long at = 0; at < bytes.byteSize(); at += CHUNK) {
        crc.update(bytes.asSlice(at, Math.min(CHUNK, bytes.byteSize() - at)).asByteBuffer());
      }
      return hex(crc);
    }
    byte[] chunk = new byte[(int) Math.min(COPIED, bytes.byteSize())];
    for (long at = 0; at < bytes.byteSize(); at += COPIED) {
      int count = (int) Math.min(COPIED, bytes.byteSize() - at);
      MemorySegment.copy(bytes, at, MemorySegment.ofArray(chunk), 0, count);
      crc.update(chunk, 0, count);
    }
    return hex(crc);
  }

  static String hex(CRC32C crc) {
    return HexFormat.of().toHexDigits((int) crc.getValue());
  }
}
