package io.moextend.data.image;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.Golden;
import io.moextend.checkpoint.SafetensorsFile;
import io.moextend.checkpoint.TensorData;
import io.moextend.checkpoint.WeightSource;
import io.moextend.data.image.ClipPreprocessing.Padding;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class SiglipPreprocessingTest {
  private static final Path CASE = Golden.path("moiie/preprocessing");
  private static final ClipPreprocessing TINY =
      ClipPreprocessing.read(Golden.path("moiie/siglip_tiny/preprocessor_config.json"));

  @TempDir Path folder;

  private static byte[] bytes(TensorData tensor) {
    return tensor.bytes().toArray(ValueLayout.JAVA_BYTE);
  }

  @ParameterizedTest
  @ValueSource(strings = {"small", "square", "tall", "wide"})
  void picturesComeOutToTheBitAsFromTheOriginal(String name) {
    RgbImage picture = new ImageDecoder().read(CASE.resolve("images/" + name + ".png"));
    ClipPreprocessing padded = TINY.with(Padding.SQUARE);
    try (WeightSource want = SafetensorsFile.open(CASE.resolve("pixels.safetensors"))) {
      assertThat(picture.rgb()).isEqualTo(bytes(want.tensor(name + ".rgb")));
      byte grey = (byte) 127;
      assertThat(picture.squared(new byte[] {grey, grey, grey}).rgb())
          .isEqualTo(bytes(want.tensor(name + ".expand2square")));
      assertThat(padded.resized(picture).rgb())
          .isEqualTo(bytes(want.tensor(name + ".pad.28.uint8")));
      for (int size : new int[] {28, 84}) {
        assertThat(padded.withSize(size).pixels(picture))
            .as("padded to %d", size)
            .isEqualTo(want.tensor(name + ".pad." + size).floats());
        assertThat(TINY.withSize(size).pixels(picture))
            .as("stretched to %d", size)
            .isEqualTo(want.tensor(name + ".direct." + size).floats());
      }
    }
  }

  @Test
  void clipsSquareHasItsMeanColour() {
    RgbImage tall = new RgbImage(1, 3, new byte[9]);
    byte[] around = ClipPreprocessing.clip(3).with(Padding.SQUARE).resized(tall).rgb();
    assertThat(List.of(around[0], around[1], around[2]))
        .containsExactly((byte) 122, (byte) 116, (byte) 104);
  }

  @Test
  void aCachedPictureIsKnownByItsPadding() {
    assertThat(TINY.with(Padding.SQUARE).fingerprint()).isNotEqualTo(TINY.fingerprint());
  }

  @Test
  void aSiglipFileThatNamesACropOfItsSizeStillStretches() throws IOException {
    String text =
        """
        {"crop_size": {"height": 84, "width": 84}, "do_normalize": true, "do_rescale": true,
         "do_resize": true, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
         "image_processor_type": "SiglipImageProcessor", "resample": 3,
         "rescale_factor": 0.00392156862745098, "size": {"height": 84, "width": 84}}""";
    Path file = Files.writeString(folder.resolve("preprocessor_config.json"), text);
    assertThat(ClipPreprocessing.read(file)).isEqualTo(ClipPreprocessing.siglip(84));
  }

  @Test
  void dinosFileIsReadAndMadeAsLargeAsItsTower() throws IOException {
    String text =
        """
        {"crop_size": {"height": 224, "width": 224}, "do_center_crop": true,
         "do_convert_rgb": true, "do_normalize": true, "do_rescale": true, "do_resize": true,
         "image_mean": [0.485, 0.456, 0.406], "image_processor_type": "BitImageProcessor",
         "image_std": [0.229, 0.224, 0.225], "resample": 3,
         "rescale_factor": 0.00392156862745098, "size": {"shortest_edge": 256}}""";
    Path file = Files.writeString(folder.resolve("preprocessor_config.json"), text);
    ClipPreprocessing read = ClipPreprocessing.read(file);
    assertThat(read.fit()).isEqualTo(new ClipPreprocessing.Fit.ShortestEdge(256));
    assertThat(read.withSize(518)).isEqualTo(ClipPreprocessing.dino(518));
  }
}
