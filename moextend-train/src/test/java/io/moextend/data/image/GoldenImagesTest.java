package io.moextend.data.image;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.Golden;
import io.moextend.data.GoldenTensors;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class GoldenImagesTest {
  private static final ImageDecoder DECODER = new ImageDecoder();

  static Stream<Path> wantedPictures() throws IOException {
    List<Path> all;
    try (Stream<Path> files = Files.list(Golden.path("images"))) {
      all = files.filter(file -> file.toString().endsWith(".png")).sorted().toList();
    }
    assertThat(all).hasSize(14);
    return all.stream();
  }

  static double[] meanAndMaximum(RgbImage got, RgbImage want) {
    assertThat(got.rgb()).hasSameSizeAs(want.rgb());
    long sum = 0;
    int maximum = 0;
    for (int i = 0; i < got.rgb().length; i++) {
      int apart = Math.abs((got.rgb()[i] & 0xff) - (want.rgb()[i] & 0xff));
      sum += apart;
      maximum = Math.max(maximum, apart);
    }
    return new double[] {(double) sum / got.rgb().length, maximum};
  }

  @ParameterizedTest
  @MethodSource("wantedPictures")
  void photographsComeOutAsFromHuggingFacesProcessor(Path wanted) {
    String[] name = wanted.getFileName().toString().split("\\.", -1);
    boolean siglip = name[1].equals("siglip384");
    Path png = Golden.path("real/photos/" + name[0] + ".png");
    boolean lossless = Files.exists(png);
    ClipPreprocessing preprocessing =
        siglip
            ? new ClipPreprocessing(
                384,
                new ClipPreprocessing.Fit.Stretch(),
                1 / 255.0,
                List.of(0.5, 0.5, 0.5),
                List.of(0.5, 0.5, 0.5))
            : ClipPreprocessing.clip(336);
    RgbImage photo = DECODER.read(lossless ? png : Golden.path("real/photos/" + name[0] + ".jpg"));
    double[] apart = meanAndMaximum(preprocessing.resized(photo), DECODER.read(wanted));
    assertThat(apart[0]).as("mean").isLessThanOrEqualTo(lossless ? 0 : 1);
    assertThat(apart[1]).as("maximum").isLessThanOrEqualTo(lossless ? 0 : 24);
  }

  @Test
  void pixelsOfTheGoldenTrainingCaseAreThoseOfTheOriginalToTheBit() throws IOException {
    ClipPreprocessing preprocessing =
        ClipPreprocessing.read(Golden.path("moextend/vision_align/preprocessor_config.json"));
    assertThat(preprocessing).isEqualTo(ClipPreprocessing.clip(24));
    float[] wanted =
        new GoldenTensors("moextend/vision_align/inputs.safetensors").floats("pixel_values");
    float[] got = new float[2 * preprocessing.length()];
    for (int i = 0; i < 2; i++) {
      float[] pixels =
          preprocessing.pixels(DECODER.read(Golden.path("moextend/data/i" + i + ".png")));
      System.arraycopy(pixels, 0, got, i * pixels.length, pixels.length);
    }
    assertThat(got).isEqualTo(wanted);
  }
}
