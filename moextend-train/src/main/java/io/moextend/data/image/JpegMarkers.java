package io.moextend.data.image;

import io.moextend.data.image.ImageHeader.Colour;
import io.moextend.data.image.ImageHeader.Format;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/** The markers of a JPEG file before its picture data. */
final class JpegMarkers {
  private static final byte[] EXIF = "Exif\0\0".getBytes(StandardCharsets.ISO_8859_1);
  private static final byte[] JFIF = "JFIF\0".getBytes(StandardCharsets.ISO_8859_1);
  private static final byte[] ADOBE = "Adobe".getBytes(StandardCharsets.ISO_8859_1);
  private static final int NO_ADOBE = -1;

  private final byte[] bytes;
  private final String name;
  private int orientation = 1;
  private int adobeTransform = NO_ADOBE;
  private boolean jfif;

  private JpegMarkers(byte[] bytes, String name) {
    this.bytes = bytes;
    this.name = name;
  }

  static boolean looksLike(byte[] bytes) {
    return bytes.length >= 3
        && u8(bytes, 0) == 0xff
        && u8(bytes, 1) == 0xd8
        && u8(bytes, 2) == 0xff;
  }

  static ImageHeader header(byte[] bytes, String name) {
    return new JpegMarkers(bytes, name).header();
  }

  /** Reads up to the scan: the colour's meaning may stand before or behind the frame. */
  private ImageHeader header() {
    int at = 2;
    int frame = -1;
    while (true) {
      while (at + 1 < bytes.length && u8(bytes, at) == 0xff && u8(bytes, at + 1) == 0xff) {
        at++; // fill bytes
      }
      if (at + 4 > bytes.length) {
        throw broken("ends before its picture");
      }
      if (u8(bytes, at) != 0xff) {
        throw broken("has no marker at byte " + at);
      }
      int marker = u8(bytes, at + 1);
      int length = u16(at + 2);
      if (length < 2 || at + 2 + length > bytes.length) {
        throw broken("ends inside its header");
      }
      if (marker == 0xda) {
        break;
      }
      if (isFrame(marker)) {
        frame = at;
      } else {
        note(marker, at + 4, length - 2);
      }
      at += 2 + length;
    }
    if (frame < 0) {
      throw broken("does not say its size");
    }
    return header(frame);
  }

  private static boolean isFrame(int marker) {
    return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
  }

  private void note(int marker, int from, int length) {
    if (marker == 0xe0 && startsWith(from, length, JFIF)) {
      jfif = true;
    } else if (marker == 0xe1 && startsWith(from, length, EXIF)) {
      orientation = Exif.orientation(ByteBuffer.wrap(bytes).slice(from + 6, length - 6));
    } else if (marker == 0xee && length >= 12 && startsWith(from, length, ADOBE)) {
      adobeTransform = u8(bytes, from + 11);
    }
  }

  private boolean startsWith(int from, int length, byte[] text) {
    return length >= text.length
        && Arrays.equals(bytes, from, from + text.length, text, 0, text.length);
  }

  private ImageHeader header(int frame) {
    int length = u16(frame + 2);
    if (length < 8) {
      throw broken("has a frame of " + length + " bytes");
    }
    int precision = u8(bytes, frame + 4);
    int height = u16(frame + 5);
    int width = u16(frame + 7);
    int components = u8(bytes, frame + 9);
    if (width < 1 || height < 1 || length < 8 + 3 * components) {
      throw broken("says %d x %d pixels of %d channels".formatted(width, height, components));
    }
    if (precision != 8 || (components != 1 && components != 3 && components != 4)) {
      throw new ImageException(
          "%s is a JPEG of %d channels of %d bits; save it with 1, 3 or 4 channels of 8 bits"
              .formatted(name, components, precision));
    }
    return new ImageHeader(
        Format.JPEG, width, height, components, colour(frame, components), orientation);
  }

  /** The rules of the Independent JPEG Group's library, which Python reads files with. */
  private Colour colour(int frame, int components) {
    if (components == 1) {
      return Colour.PLAIN;
    }
    if (components == 4) {
      return adobeTransform == NO_ADOBE || adobeTransform == 0 ? Colour.CMYK : Colour.YCCK;
    }
    if (jfif) {
      return Colour.YCC;
    }
    if (adobeTransform != NO_ADOBE) {
      return adobeTransform == 0 ? Colour.PLAIN : Colour.YCC;
    }
    boolean namedRgb =
        u8(bytes, frame + 10) == 'R'
            && u8(bytes, frame + 13) == 'G'
            && u8(bytes, frame + 16) == 'B';
    return namedRgb ? Colour.PLAIN : Colour.YCC;
  }

  private static int u8(byte[] bytes, int at) {
    return Byte.toUnsignedInt(bytes[at]);
  }

  private int u16(int at) {
    return u8(bytes, at) << 8 | u8(bytes, at + 1);
  }

  private ImageException broken(String what) {
    return new ImageException(
        "%s is a broken JPEG: it %s; copy or save it anew".formatted(name, what));
  }
}
