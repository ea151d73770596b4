package io.moextend.data.image;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** The one EXIF tag that matters here. */
final class Exif {
  private static final int ORIENTATION = 0x0112;
  private static final int UPRIGHT = 1;

  private Exif() {}

  /**
   * @param tiff the TIFF block that EXIF is; broken blocks count as silent ones, as with other
   *     readers
   * @return 1 to 8
   */
  static int orientation(ByteBuffer tiff) {
    if (tiff.remaining() < 8) {
      return UPRIGHT;
    }
    ByteBuffer block = tiff.slice();
    switch (block.getShort(0)) {
      case 0x4949 -> block.order(ByteOrder.LITTLE_ENDIAN);
      case 0x4d4d -> block.order(ByteOrder.BIG_ENDIAN);
      default -> {
        return UPRIGHT;
      }
    }
    long at = Integer.toUnsignedLong(block.getInt(4));
    if (at + 2 > block.limit()) {
      return UPRIGHT;
    }
    int entries = Short.toUnsignedInt(block.getShort((int) at));
    for (int i = 0; i < entries && at + 2 + 12L * (i + 1) <= block.limit(); i++) {
      int entry = (int) at + 2 + 12 * i;
      if (Short.toUnsignedInt(block.getShort(entry)) == ORIENTATION) {
        int value = Short.toUnsignedInt(block.getShort(entry + 8));
        return value >= 1 && value <= 8 ? value : UPRIGHT;
      }
    }
    return UPRIGHT;
  }
}
