package io.moextend.data.image;

import io.moextend.data.image.ImageHeader.Format;
import java.awt.image.BufferedImage;
import java.awt.image.DataBuffer;
import java.awt.image.IndexColorModel;
import java.awt.image.Raster;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import javax.imageio.ImageIO;
import javax.imageio.ImageReader;
import javax.imageio.stream.MemoryCacheImageInputStream;

/**
 * Reads PNG and JPEG files as Python's imaging library reads them for {@code convert("RGB")}: alpha
 * is dropped, not blended; colour profiles and gamma are ignored; ink is taken for Adobe's. 16-bit
 * channels keep their upper 8 bits. Any number of threads may read.
 *
 * @param maxPixels files that say more are refused before they are decoded
 * @param applyOrientation turn the picture as its EXIF says; the original does not
 */
public record ImageDecoder(long maxPixels, boolean applyOrientation) {
  public static final long DEFAULT_MAX_PIXELS = 100_000_000;
  private static final long LARGEST_FILE_BYTES = 512L << 20;

  /** A picture's bytes are one Java array. */
  private static final long MOST_PIXELS = Integer.MAX_VALUE / 3 - 16;

  public ImageDecoder {
    if (maxPixels < 1 || maxPixels > MOST_PIXELS) {
      throw new ImageException(
          "max pixels=%d: must be between 1 and %d".formatted(maxPixels, MOST_PIXELS));
    }
  }

  /** At most 100 megapixels, orientation ignored. */
  public ImageDecoder() {
    this(DEFAULT_MAX_PIXELS, false);
  }

  /**
   * Reads a file without decoding it.
   *
   * @throws ImageException if it is missing or larger than an image may be
   */
  public static byte[] bytes(Path file) {
    try {
      long size = Files.size(file);
      if (size > LARGEST_FILE_BYTES) {
        throw new ImageException(
            "%s has %d bytes, more than the %d of an image file; is it one?"
                .formatted(file, size, LARGEST_FILE_BYTES));
      }
      return Files.readAllBytes(file);
    } catch (NoSuchFileException e) {
      throw new ImageException(file + " is missing; check the image folder", e);
    } catch (IOException e) {
      throw new ImageException("%s cannot be read: %s".formatted(file, e.getMessage()), e);
    }
  }

  /**
   * @throws ImageException if the file is missing, broken, too large or of another format
   */
  public RgbImage read(Path file) {
    return decode(bytes(file), file.toString());
  }

  /**
   * @param bytes a whole file
   * @param name of the file, for errors
   */
  public RgbImage decode(byte[] bytes, String name) {
    ImageHeader header = ImageHeader.of(bytes, name);
    long pixels = (long) header.width() * header.height();
    if (pixels > maxPixels) {
      throw new ImageException(
          "%s has %d x %d pixels, more than %d; make it smaller or raise max pixels"
              .formatted(name, header.width(), header.height(), maxPixels));
    }
    RgbImage image =
        switch (header.format()) {
          case PNG -> png(bytes, header, name);
          case JPEG -> jpeg(bytes, header, name);
        };
    return applyOrientation ? image.oriented(header.orientation()) : image;
  }

  private static RgbImage png(byte[] bytes, ImageHeader header, String name) {
    BufferedImage image = reading(bytes, header, name, reader -> reader.read(0));
    byte[] out = new byte[3 * header.width() * header.height()];
    Raster raster = image.getRaster();
    int bands = raster.getNumBands();
    // 16 bits a channel keep the upper 8
    int shift = raster.getTransferType() == DataBuffer.TYPE_USHORT ? 8 : 0;
    int[] row = new int[bands * header.width()];
    for (int y = 0; y < header.height(); y++) {
      raster.getPixels(0, y, header.width(), 1, row);
      for (int x = 0; x < header.width(); x++) {
        int to = 3 * (y * header.width() + x);
        if (image.getColorModel() instanceof IndexColorModel palette) {
          int colour = palette.getRGB(row[x]);
          put(out, to, colour >> 16, colour >> 8, colour);
        } else if (bands >= 3) {
          int at = bands * x;
          put(out, to, row[at] >> shift, row[at + 1] >> shift, row[at + 2] >> shift);
        } else {
          int grey = row[bands * x] >> shift;
          put(out, to, grey, grey, grey);
        }
      }
    }
    return new RgbImage(header.width(), header.height(), out);
  }

  private static void put(byte[] out, int to, int red, int green, int blue) {
    out[to] = (byte) red;
    out[to + 1] = (byte) green;
    out[to + 2] = (byte) blue;
  }

  private static RgbImage jpeg(byte[] bytes, ImageHeader header, String name) {
    // Raw channels: the decoder knows no ink, and would apply colour profiles.
    Raster raster = reading(bytes, header, name, reader -> reader.readRaster(0, null));
    if (raster.getNumBands() != header.components()) {
      throw new ImageException(
          "%s says %d channels and has %d; save it anew"
              .formatted(name, header.components(), raster.getNumBands()));
    }
    byte[] out = new byte[3 * header.width() * header.height()];
    int[] row = new int[header.components() * header.width()];
    for (int y = 0; y < header.height(); y++) {
      raster.getPixels(0, y, header.width(), 1, row);
      JpegColour.row(header.colour(), header.components(), row, out, 3 * y * header.width());
    }
    return new RgbImage(header.width(), header.height(), out);
  }

  private interface Read<T> {
    T from(ImageReader reader) throws IOException;
  }

  private static <T> T reading(byte[] bytes, ImageHeader header, String name, Read<T> read) {
    ImageReader reader = reader(header.format());
    List<String> warnings = new ArrayList<>();
    try (var stream = new MemoryCacheImageInputStream(new ByteArrayInputStream(bytes))) {
      reader.addIIOReadWarningListener((source, warning) -> warnings.add(warning));
      reader.setInput(stream, true, true);
      if (reader.getWidth(0) != header.width() || reader.getHeight(0) != header.height()) {
        throw new ImageException(name + " says two sizes; save it anew");
      }
      T picture = read.from(reader);
      for (String warning : warnings) {
        // the decoder fills what is missing with grey and goes on
        String said = warning.toLowerCase(Locale.ROOT);
        if (said.contains("premature end") || said.contains("truncated")) {
          throw new IOException(warning);
        }
      }
      return picture;
    } catch (IOException | IllegalArgumentException | IndexOutOfBoundsException e) {
      throw new ImageException(
          "%s is broken or cut off (%s); copy or save it anew".formatted(name, e.getMessage()), e);
    } finally {
      reader.dispose();
    }
  }

  /** The JDK's own reader: others on the class path would give other pixels. */
  private static ImageReader reader(Format format) {
    Iterator<ImageReader> readers = ImageIO.getImageReadersByFormatName(format.name());
    while (readers.hasNext()) {
      ImageReader reader = readers.next();
      if (reader.getClass().getName().startsWith("com.sun.imageio.")) {
        return reader;
      }
      reader.dispose();
    }
    throw new ImageException(
        "this Java has no reader for %s; use a JDK with the module java.desktop".formatted(format));
  }
}
