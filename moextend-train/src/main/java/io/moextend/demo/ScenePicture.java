package io.moextend.demo;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import javax.imageio.ImageIO;

/**
 * Draws a scene: 48 x 48 pixels RGB, dark grey with slight noise, filled shapes whose place, height
 * and brightness vary a little with the seed. Drawn point by point, so that the pixels do not
 * depend on a graphics library.
 */
public final class ScenePicture {
  /** Height and width in pixels: 6 x 6 patches of 8. */
  public static final int PIXELS = 48;

  private static final int BACKGROUND = 0x2D2D2D;
  private static final int NOISE = 6; // of 255, either way, each channel
  private static final int MARGIN = 3; // pixels between a thing and the edge it stands at

  private ScenePicture() {}

  /** The same scene and seed give the same pixels. */
  public static BufferedImage draw(Scene scene, long seed) {
    Random random = new Random(seed);
    int[] rgb = new int[PIXELS * PIXELS];
    Arrays.fill(rgb, BACKGROUND);
    for (Thing thing : scene.things()) {
      draw(thing, rgb, random);
    }
    BufferedImage image = new BufferedImage(PIXELS, PIXELS, BufferedImage.TYPE_INT_RGB);
    for (int y = 0; y < PIXELS; y++) {
      for (int x = 0; x < PIXELS; x++) {
        image.setRGB(x, y, noisy(rgb[y * PIXELS + x], random));
      }
    }
    return image;
  }

  /** Draws and writes a PNG. */
  public static void write(Scene scene, long seed, Path file) throws IOException {
    try (var out = Files.newOutputStream(file)) {
      if (!ImageIO.write(draw(scene, seed), "png", out)) {
        throw new IOException(file + ": this Java has no PNG writer");
      }
    }
  }

  private static void draw(Thing thing, int[] rgb, Random random) {
    double half = (thing.size().pixels() + random.nextInt(3) - 1) / 2.0;
    double reach = PIXELS / 2.0 - thing.size().pixels() / 2.0 - MARGIN;
    double middleX = PIXELS / 2.0 + reach * thing.position().right() + jitter(random);
    double middleY = PIXELS / 2.0 + reach * thing.position().down() + jitter(random);
    double brightness = 0.9 + 0.1 * random.nextDouble();
    for (int y = 0; y < PIXELS; y++) {
      for (int x = 0; x < PIXELS; x++) {
        double dx = (x + 0.5 - middleX) / half;
        double dy = (y + 0.5 - middleY) / half;
        if (thing.shape().covers(dx, dy)) {
          rgb[y * PIXELS + x] = scaled(thing.colour().rgb(), brightness);
        }
      }
    }
  }

  /** -1.5 to 1.5 pixels. */
  private static double jitter(Random random) {
    return 3 * random.nextDouble() - 1.5;
  }

  private static int scaled(int rgb, double by) {
    int red = (int) (((rgb >> 16) & 255) * by);
    int green = (int) (((rgb >> 8) & 255) * by);
    int blue = (int) ((rgb & 255) * by);
    return red << 16 | green << 8 | blue;
  }

  private static int noisy(int rgb, Random random) {
    int out = 0;
    for (int shift = 16; shift >= 0; shift -= 8) {
      int channel = ((rgb >> shift) & 255) + random.nextInt(2 * NOISE + 1) - NOISE;
      out |= Math.clamp(channel, 0, 255) << shift;
    }
    return out;
  }
}
