package io.moextend.data.image;

import io.moextend.data.image.ImageHeader.Colour;
import io.moextend.data.image.ImageHeader.Format;
import java.nio.ByteBuffer;
import java.util.zip.CRC32;

/** The chunks of a PNG file: size, orientation, and whether they arrived whole. */
final class PngChunks {
  private static final long SIGNATURE = 0x89504e470d0a1a0aL;
  private static final int IHDR = 0x49484452;
  private static final int IEND = 0x49454e44;
  private static final int EXIF = 0x65584966;
  private static final int OVERHEAD = 12;

  private PngChunks() {}

  static boolean looksLike(byte[] bytes) {
    return bytes.length >= 8 && ByteBuffer.wrap(bytes).getLong() == SIGNATURE;
  }

  /** Walks all chunks, since the decoder itself checks no CRC. */
  static ImageHeader header(byte[] bytes, String name) {
    ByteBuffer file = ByteBuffer.wrap(bytes);
    int width = 0;
    int height = 0;
    int orientation = 1;
    int at = 8;
    while (true) {
      if (at + OVERHEAD > bytes.length) {
        throw broken(name, "ends after %d bytes, before its last chunk".formatted(bytes.length));
      }
      int length = file.getInt(at);
      int type = file.getInt(at + 4);
      if (length < 0 || length > bytes.length - at - OVERHEAD) {
        throw broken(name, "ends after %d bytes, inside a chunk".formatted(bytes.length));
      }
      requireCrc(bytes, file, at, length, name);
      if (type == IHDR && length >= 13) {
        width = file.getInt(at + 8);
        height = file.getInt(at + 12);
      } else if (type == EXIF) {
        orientation = Exif.orientation(file.slice(at + 8, length));
      } else if (type == IEND) {
        break;
      }
      at += OVERHEAD + length;
    }
    if (width < 1 || height < 1) {
      throw broken(name, "says %d x %d pixels".formatted(width, height));
    }
    return new ImageHeader(Format.PNG, width, height, 0, Colour.PLAIN, orientation);
  }

  private static void requireCrc(byte[] bytes, ByteBuffer file, int at, int length, String name) {
    CRC32 crc = new CRC32();
    crc.update(bytes, at + 4, length + 4);
    if ((int) crc.getValue() != file.getInt(at + 8 + length)) {
      throw broken(name, "has a wrong checksum in the chunk at byte %d".formatted(at));
    }
  }

  private static ImageException broken(String name, String what) {
    return new ImageException(
        "%s is a broken PNG: it %s; copy or save it anew".formatted(name, what));
  }
}
