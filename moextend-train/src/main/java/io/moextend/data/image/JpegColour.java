package io.moextend.data.image;

import io.moextend.data.image.ImageHeader.Colour;

/**
 * A JPEG's channels to RGB, in the 16-bit fixed point of the Independent JPEG Group's library and,
 * for ink, the 8-bit arithmetic of Python's imaging library.
 */
final class JpegColour {
  private static final int HALF = 1 << 15;
  private static final int RED_OF_CR = fixed(1.40200);
  private static final int BLUE_OF_CB = fixed(1.77200);
  private static final int GREEN_OF_CR = fixed(0.71414);
  private static final int GREEN_OF_CB = fixed(0.34414);

  private JpegColour() {}

  private static int fixed(double x) {
    return (int) (x * (1 << 16) + 0.5);
  }

  /**
   * @param samples [pixels, components] of one row, 0 to 255
   * @param out [pixels, 3] from {@code offset}
   */
  static void row(Colour colour, int components, int[] samples, byte[] out, int offset) {
    int pixels = samples.length / components;
    int[] rgb = new int[3];
    for (int i = 0; i < pixels; i++) {
      int at = components * i;
      switch (colour) {
        case PLAIN -> {
          rgb[0] = samples[at];
          rgb[1] = samples[at + components / 2];
          rgb[2] = samples[at + components - 1];
        }
        case YCC -> ycc(samples, at, rgb);
        case CMYK -> {
          rgb[0] = samples[at];
          rgb[1] = samples[at + 1];
          rgb[2] = samples[at + 2];
          ink(rgb, samples[at + 3]);
        }
        case YCCK -> {
          // the differences give RGB, whose complement is the stored ink
          ycc(samples, at, rgb);
          for (int c = 0; c < 3; c++) {
            rgb[c] = 255 - rgb[c];
          }
          ink(rgb, samples[at + 3]);
        }
      }
      for (int c = 0; c < 3; c++) {
        out[offset + 3 * i + c] = (byte) rgb[c];
      }
    }
  }

  private static void ycc(int[] samples, int at, int[] rgb) {
    int y = samples[at];
    int cb = samples[at + 1] - 128;
    int cr = samples[at + 2] - 128;
    rgb[0] = clip(y + ((RED_OF_CR * cr + HALF) >> 16));
    rgb[1] = clip(y + ((-GREEN_OF_CB * cb - GREEN_OF_CR * cr + HALF) >> 16));
    rgb[2] = clip(y + ((BLUE_OF_CB * cb + HALF) >> 16));
  }

  /**
   * @param rgb in: 255 minus each ink, as Adobe stores it; out: the colour
   * @param light 255 minus black
   */
  private static void ink(int[] rgb, int light) {
    for (int c = 0; c < 3; c++) {
      int product = (255 - rgb[c]) * light + 128;
      rgb[c] = clip(light - (((product >> 8) + product) >> 8));
    }
  }

  private static int clip(int x) {
    return Math.max(0, Math.min(255, x));
  }
}
