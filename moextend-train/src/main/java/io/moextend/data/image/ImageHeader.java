package io.moextend.data.image;

/**
 * What a file says of itself before anything is decoded.
 *
 * @param components channels as stored; 0 where the format decides (PNG)
 * @param colour how a JPEG's channels are meant
 * @param orientation EXIF's 1 to 8; 1 where nothing is said
 */
record ImageHeader(
    Format format, int width, int height, int components, Colour colour, int orientation) {
  enum Format {
    PNG,
    JPEG
  }

  enum Colour {
    /** Grey, RGB or palette, as the decoder finds it. */
    PLAIN,
    YCC,
    /** Ink, stored inverted as Adobe does. */
    CMYK,
    /** Ink whose first three channels are stored as luminance and two differences. */
    YCCK
  }

  /**
   * @param bytes the whole file
   * @param name of the file, for errors
   */
  static ImageHeader of(byte[] bytes, String name) {
    if (PngChunks.looksLike(bytes)) {
      return PngChunks.header(bytes, name);
    }
    if (JpegMarkers.looksLike(bytes)) {
      return JpegMarkers.header(bytes, name);
    }
    throw new ImageException(
        "%s is neither PNG nor JPEG (%s); convert it, whatever its name says"
            .formatted(name, start(bytes)));
  }

  private static String start(byte[] bytes) {
    if (bytes.length == 0) {
      return "it is empty";
    }
    StringBuilder out = new StringBuilder("it starts with");
    for (int i = 0; i < Math.min(8, bytes.length); i++) {
      out.append(" %02x".formatted(bytes[i]));
    }
    return out.toString();
  }
}
