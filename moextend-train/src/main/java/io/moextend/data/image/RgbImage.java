package io.moextend.data.image;

/**
 * A picture of 8 bits a channel.
 *
 * @param rgb [height, width, 3], rows from the top
 */
@SuppressWarnings("ArrayRecordComponent") // compared nowhere; handed over, not shared
public record RgbImage(int width, int height, byte[] rgb) {
  public RgbImage {
    if (width < 1 || height < 1 || rgb.length != 3L * width * height) {
      throw new IllegalArgumentException(
          "%d x %d pixels of 3 bytes do not make %d bytes".formatted(width, height, rgb.length));
    }
  }

  /**
   * The picture in the middle of a square as large as its longer side; of an odd rest the larger
   * part lies at the right or below.
   *
   * @param background red, green and blue of what is around it
   */
  public RgbImage squared(byte[] background) {
    if (width == height) {
      return this;
    }
    int side = Math.max(width, height);
    byte[] out = new byte[Math.multiplyExact(3 * side, side)];
    for (int i = 0; i < out.length; i++) {
      out[i] = background[i % 3];
    }
    int left = (side - width) / 2;
    int top = (side - height) / 2;
    for (int y = 0; y < height; y++) {
      System.arraycopy(rgb, 3 * y * width, out, 3 * ((top + y) * side + left), 3 * width);
    }
    return new RgbImage(side, side, out);
  }

  /**
   * The picture as its camera meant it.
   *
   * @param orientation EXIF's 1 to 8; 1 is upright, 6 asks for a quarter turn clockwise
   */
  public RgbImage oriented(int orientation) {
    if (orientation < 2 || orientation > 8) {
      return this;
    }
    boolean sideways = orientation >= 5;
    int outWidth = sideways ? height : width;
    int outHeight = sideways ? width : height;
    byte[] out = new byte[rgb.length];
    for (int y = 0; y < outHeight; y++) {
      for (int x = 0; x < outWidth; x++) {
        int fromX =
            switch (orientation) {
              case 2, 3 -> width - 1 - x;
              case 4 -> x;
              case 5, 6 -> y;
              default -> width - 1 - y;
            };
        int fromY =
            switch (orientation) {
              case 2 -> y;
              case 3, 4 -> height - 1 - y;
              case 5, 8 -> x;
              default -> height - 1 - x;
            };
        System.arraycopy(rgb, 3 * (fromY * width + fromX), out, 3 * (y * outWidth + x), 3);
      }
    }
    return new RgbImage(outWidth, outHeight, out);
  }
}
