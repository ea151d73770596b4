package io.moextend.data.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.offset;

import io.moextend.Golden;
import java.awt.color.ColorSpace;
import java.awt.image.BufferedImage;
import java.awt.image.ComponentColorModel;
import java.awt.image.DataBuffer;
import java.awt.image.IndexColorModel;
import java.awt.image.Raster;
import java.awt.image.WritableRaster;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.zip.CRC32;
import javax.imageio.IIOImage;
import javax.imageio.ImageIO;
import javax.imageio.ImageWriteParam;
import javax.imageio.ImageWriter;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ImageDecoderTest {
  private static final ImageDecoder DECODER = new ImageDecoder();

  @TempDir Path folder;

  private static byte[] photo(String name) throws IOException {
    return Files.readAllBytes(Golden.path("real/photos/" + name));
  }

  private static byte[] png(BufferedImage image) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    assertThat(ImageIO.write(image, "png", out)).isTrue();
    return out.toByteArray();
  }

  private static int[] levels(RgbImage image) {
    int[] out = new int[image.rgb().length];
    for (int i = 0; i < out.length; i++) {
      out[i] = image.rgb()[i] & 0xff;
    }
    return out;
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 4})
  void fewBitsOfGreyAreSpreadOverAllLevels(int bits) throws IOException {
    int colours = 1 << bits;
    byte[] ramp = new byte[colours];
    for (int i = 0; i < colours; i++) {
      ramp[i] = (byte) (255 * i / (colours - 1));
    }
    IndexColorModel grey = new IndexColorModel(bits, colours, ramp, ramp, ramp);
    WritableRaster raster =
        Raster.createPackedRaster(DataBuffer.TYPE_BYTE, colours, 1, 1, bits, null);
    for (int i = 0; i < colours; i++) {
      raster.setSample(i, 0, 0, i);
    }
    byte[] file = png(new BufferedImage(grey, raster, false, null));
    assertThat(file[24]).isEqualTo((byte) bits);
    int[] got = levels(DECODER.decode(file, "x.png"));
    for (int i = 0; i < colours; i++) {
      assertThat(got[3 * i]).isEqualTo(255 * i / (colours - 1)).isEqualTo(got[3 * i + 2]);
    }
  }

  @Test
  void sixteenBitChannelsKeepTheirUpperEight() throws IOException {
    BufferedImage grey = new BufferedImage(3, 1, BufferedImage.TYPE_USHORT_GRAY);
    for (int x = 0; x < 3; x++) {
      grey.getRaster().setSample(x, 0, 0, new int[] {0x12ff, 0x80, 0xffff}[x]);
    }
    assertThat(levels(DECODER.decode(png(grey), "x.png")))
        .containsExactly(0x12, 0x12, 0x12, 0, 0, 0, 0xff, 0xff, 0xff);
    ComponentColorModel model =
        new ComponentColorModel(
            ColorSpace.getInstance(ColorSpace.CS_sRGB), false, false, 1, DataBuffer.TYPE_USHORT);
    WritableRaster raster = model.createCompatibleWritableRaster(1, 1);
    raster.setPixel(0, 0, new int[] {0x1234, 0xabcd, 0xff00});
    byte[] file = png(new BufferedImage(model, raster, false, null));
    assertThat(file[24]).isEqualTo((byte) 16);
    assertThat(levels(DECODER.decode(file, "x.png"))).containsExactly(0x12, 0xab, 0xff);
  }

  @Test
  void greyKeepsItsLevelsWithoutGamma() throws IOException {
    BufferedImage grey = new BufferedImage(2, 1, BufferedImage.TYPE_BYTE_GRAY);
    grey.getRaster().setSample(0, 0, 0, 77);
    grey.getRaster().setSample(1, 0, 0, 200);
    assertThat(levels(DECODER.decode(png(grey), "x.png")))
        .containsExactly(77, 77, 77, 200, 200, 200);
  }

  @Test
  void alphaIsDroppedAndNotBlended() throws IOException {
    BufferedImage image = new BufferedImage(2, 1, BufferedImage.TYPE_INT_ARGB);
    image.setRGB(0, 0, 0x00_102030);
    image.setRGB(1, 0, 0x80_405060);
    assertThat(levels(DECODER.decode(png(image), "x.png")))
        .containsExactly(0x10, 0x20, 0x30, 0x40, 0x50, 0x60);
  }

  private static int indexOf(byte[] bytes, String text) {
    return new String(bytes, StandardCharsets.ISO_8859_1).indexOf(text);
  }

  /** Turns the mark of a file; its channels then mean luminance, two differences and black. */
  @Test
  void inkStoredAsLuminanceIsTheComplementOfItsColours() throws IOException {
    byte[] ink = photo("hubble_cmyk.jpg");
    int adobe = indexOf(ink, "Adobe");
    assertThat(ink[adobe + 11]).isZero();
    byte[] luminance = ink.clone();
    luminance[adobe + 11] = 2;
    int[] stored = levels(DECODER.decode(ink, "ink.jpg"));
    int[] read = levels(DECODER.decode(luminance, "luminance.jpg"));
    // the photograph has no black, so the first reading shows the channels as they are stored
    double most = 0;
    for (int i = 0; i < stored.length; i += 3) {
      double cb = stored[i + 1] - 128.0;
      double cr = stored[i + 2] - 128.0;
      double[] colours = {
        stored[i] + 1.402 * cr, stored[i] - 0.34414 * cb - 0.71414 * cr, stored[i] + 1.772 * cb
      };
      for (int c = 0; c < 3; c++) {
        double wanted = 255 - Math.max(0, Math.min(255, colours[c]));
        most = Math.max(most, Math.abs(wanted - read[i + c]));
      }
    }
    assertThat(most).isLessThanOrEqualTo(1);
  }

  /** Without JFIF's mark the channels' names or Adobe's mark say what they are. */
  @Test
  void coloursAreToldFromTheMarkersAsTheUsualLibraryDoes() throws IOException {
    byte[] jfif = photo("cat.jpg");
    byte[] bare = new byte[jfif.length - 18];
    System.arraycopy(jfif, 0, bare, 0, 2);
    System.arraycopy(jfif, 20, bare, 2, jfif.length - 20);
    RgbImage cat = DECODER.decode(jfif, "cat.jpg");
    assertThat(DECODER.decode(bare, "bare.jpg").rgb()).isEqualTo(cat.rgb());
    byte[] adobe = HexFormat.of().parseHex("ffee000e41646f62650064000000000000");
    for (int transform = 0; transform < 2; transform++) {
      adobe[15] = (byte) transform;
      byte[] marked = new byte[bare.length + 16];
      System.arraycopy(bare, 0, marked, 0, 2);
      System.arraycopy(adobe, 0, marked, 2, 16);
      System.arraycopy(bare, 2, marked, 18, bare.length - 2);
      byte[] rgb = DECODER.decode(marked, "adobe.jpg").rgb();
      if (transform == 1) {
        assertThat(rgb).isEqualTo(cat.rgb());
      } else {
        // the first channel as it is stored is luminance
        double red = 0.299 * (cat.rgb()[0] & 255);
        double luminance = red + 0.587 * (cat.rgb()[1] & 255) + 0.114 * (cat.rgb()[2] & 255);
        assertThat((double) (rgb[0] & 255)).isCloseTo(luminance, offset(2.0));
      }
    }
  }

  @Test
  void progressiveJpegsAreRead() throws IOException {
    RgbImage cat = DECODER.read(Golden.path("real/photos/cat.jpg"));
    BufferedImage image = new BufferedImage(cat.width(), cat.height(), BufferedImage.TYPE_INT_RGB);
    for (int i = 0; i < cat.width() * cat.height(); i++) {
      int[] rgb = {cat.rgb()[3 * i] & 255, cat.rgb()[3 * i + 1] & 255, cat.rgb()[3 * i + 2] & 255};
      image.setRGB(i % cat.width(), i / cat.width(), rgb[0] << 16 | rgb[1] << 8 | rgb[2]);
    }
    ImageWriter writer = ImageIO.getImageWritersByFormatName("jpeg").next();
    ImageWriteParam how = writer.getDefaultWriteParam();
    how.setProgressiveMode(ImageWriteParam.MODE_DEFAULT);
    how.setCompressionMode(ImageWriteParam.MODE_EXPLICIT);
    how.setCompressionQuality(0.95f);
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (var stream = ImageIO.createImageOutputStream(out)) {
      writer.setOutput(stream);
      writer.write(null, new IIOImage(image, null, null), how);
    } finally {
      writer.dispose();
    }
    RgbImage read = DECODER.decode(out.toByteArray(), "progressive.jpg");
    assertThat(GoldenImagesTest.meanAndMaximum(read, cat)[0]).isLessThan(4);
  }

  @Test
  void orientationIsAppliedOnlyWhenAsked() throws IOException {
    RgbImage lying = DECODER.read(Golden.path("real/photos/cat_exif6.jpg"));
    RgbImage upright =
        new ImageDecoder(1_000_000, true).read(Golden.path("real/photos/cat_exif6.jpg"));
    RgbImage cat = DECODER.read(Golden.path("real/photos/cat.jpg"));
    assertThat(lying.width()).isEqualTo(300);
    assertThat(upright.width()).isEqualTo(451);
    assertThat(GoldenImagesTest.meanAndMaximum(upright, cat)[0]).isLessThan(4);
  }

  @Test
  void allEightOrientationsTurnAsExifSays() {
    // a b c
    // d e f
    byte[] rgb = new byte[18];
    for (int i = 0; i < 18; i++) {
      rgb[i] = (byte) ('a' + i / 3);
    }
    RgbImage image = new RgbImage(3, 2, rgb);
    String[] wanted = {
      "abcdef", "cbafed", "fedcba", "defabc", "adbecf", "daebfc", "fcebda", "cfbead"
    };
    for (int orientation = 1; orientation <= 8; orientation++) {
      RgbImage turned = image.oriented(orientation);
      StringBuilder got = new StringBuilder();
      for (int i = 0; i < 18; i += 3) {
        got.append((char) turned.rgb()[i]);
      }
      assertThat(got.toString()).as("%d", orientation).isEqualTo(wanted[orientation - 1]);
      assertThat(turned.width()).isEqualTo(orientation < 5 ? 3 : 2);
    }
  }

  @Test
  void tooManyPixelsAreRefusedFromTheHeader() throws IOException {
    byte[] bomb = png(new BufferedImage(1, 1, BufferedImage.TYPE_INT_RGB));
    ByteBuffer file = ByteBuffer.wrap(bomb);
    file.putInt(16, 60_000).putInt(20, 60_000);
    CRC32 crc = new CRC32();
    crc.update(bomb, 12, 17);
    file.putInt(29, (int) crc.getValue());
    assertThatThrownBy(() -> DECODER.decode(bomb, "bomb.png"))
        .isInstanceOf(ImageException.class)
        .hasMessage(
            "bomb.png has 60000 x 60000 pixels, more than 100000000; make it smaller or raise max"
                + " pixels");
    byte[] cat = photo("cat.jpg");
    assertThatThrownBy(() -> new ImageDecoder(451 * 300 - 1, false).decode(cat, "cat.jpg"))
        .hasMessageStartingWith("cat.jpg has 451 x 300 pixels, more than 135299");
    assertThat(new ImageDecoder(451 * 300, false).decode(cat, "cat.jpg").width()).isEqualTo(451);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "cat.jpg",
        "coffee.png",
        "hubble_cmyk.jpg",
        "camera_grey.jpg",
        "coffee_palette.png"
      })
  void aFileCutOffAnywhereIsRefusedByName(String name) throws IOException {
    byte[] whole = photo(name);
    for (int part = 0; part < 16; part++) {
      byte[] cut = Arrays.copyOf(whole, whole.length * part / 16);
      assertThatThrownBy(() -> DECODER.decode(cut, name))
          .as("%d of %d bytes", cut.length, whole.length)
          .isInstanceOf(ImageException.class)
          .hasMessageStartingWith(name);
    }
  }

  @Test
  void aDamagedPngIsRefused() throws IOException {
    byte[] bytes = photo("coffee.png");
    bytes[bytes.length / 2] ^= 1;
    assertThatThrownBy(() -> DECODER.decode(bytes, "coffee.png"))
        .hasMessageContaining("has a wrong checksum in the chunk at byte");
  }

  @Test
  void otherFormatsAndMissingFilesAreRefusedByName() throws IOException {
    assertThatThrownBy(() -> DECODER.decode(new byte[] {'R', 'I', 'F', 'F'}, "a.jpg"))
        .hasMessage(
            "a.jpg is neither PNG nor JPEG (it starts with 52 49 46 46); convert it, whatever its"
                + " name says");
    assertThatThrownBy(() -> DECODER.decode(new byte[0], "a.jpg"))
        .hasMessageContaining("it is empty");
    Path gone = folder.resolve("gone.png");
    assertThatThrownBy(() -> DECODER.read(gone))
        .hasMessage(gone + " is missing; check the image folder");
  }

  @Test
  void aPictureThinAsAThreadNeedsNoMemoryForItsFullLength() {
    RgbImage thread = new RgbImage(1, 2_000_000, new byte[6_000_000]);
    assertThat(ClipPreprocessing.clip(336).resized(thread).rgb()).hasSize(3 * 336 * 336);
  }
}
