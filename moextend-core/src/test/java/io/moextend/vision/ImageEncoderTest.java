package io.moextend.vision;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.Golden;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.array.ShapeException;
import io.moextend.autograd.Parameter.Role;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.checkpoint.TensorData;
import io.moextend.checkpoint.WeightSource;
import io.moextend.config.ConfigException;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.config.TowerConfig;
import io.moextend.config.VisionConfig;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

class ImageEncoderTest {
  private static TowerConfig tower(String folder) {
    return HuggingFaceConfig.read(Golden.path(folder)).tower();
  }

  private static VisionConfig config(TowerConfig tower, int layer, List<Integer> scales) {
    return new VisionConfig(tower, "mlp2x_gelu", layer, 0, scales, tower.grid(), false);
  }

  @ParameterizedTest
  @CsvSource({
    "cpu, a, siglip_tiny, 28 56 84",
    "cpu, b, siglip_tiny_p14, 28 56",
    "nd4j, a, siglip_tiny, 28 56 84",
    "nd4j, b, siglip_tiny_p14, 28 56"
  })
  void tilesAndFeaturesOfSeveralScalesAreThePublishedOnes(
      String backend, String name, String folder, String sizes) {
    List<Integer> scales = List.of(sizes.split(" ", -1)).stream().map(Integer::valueOf).toList();
    try (var bed = new VisionBed(backend);
        WeightSource weights = VisionBed.open("moiie/" + folder + "/model.safetensors");
        WeightSource inputs = VisionBed.open("moiie/s2/inputs.safetensors");
        WeightSource expected = VisionBed.open("moiie/s2/expected.safetensors")) {
      var from = bed.parameters(weights, Set.of());
      VisionConfig config = config(tower("moiie/" + folder), -2, scales);
      try (var encoder = new ImageEncoder(from, "", config)) {
        from.requireAllRead();
        Tape tape = Tape.off(bed.backend, bed.arena);
        Array pixels = bed.array(inputs.tensor(name + ".pixel_values"));
        for (int scale : scales) {
          Array tiles = encoder.tiles(tape, pixels, scale);
          TensorData want = expected.tensor(name + ".tiles." + scale);
          VisionBed.agree(
              "tiles of " + scale,
              bed.backend.toFloats(bed.arena, tiles),
              imageByImage(want, (int) pixels.dim(0)));
        }
        Tensor features = encoder.features(tape, pixels, states -> {});
        assertThat(features.data().dim(1)).isEqualTo(config.features());
        bed.agree("features", features, expected.tensor(name + ".features"));
      }
    }
  }

  /** The published tiles lie tile by tile, all images of each; ours image by image. */
  private static float[] imageByImage(TensorData tiles, int images) {
    float[] all = tiles.floats();
    int pieces = (int) tiles.shape()[0] / images;
    int size = all.length / (pieces * images);
    float[] turned = new float[all.length];
    for (int i = 0; i < pieces * images; i++) {
      int from = i % pieces * images + i / pieces;
      System.arraycopy(all, from * size, turned, i * size, size);
    }
    return turned;
  }

  @ParameterizedTest
  @MethodSource("io.moextend.vision.VisionBed#backends")
  void aSiglipTowerIsReadBeforeItsLastLayer(String backend) {
    try (var bed = new VisionBed(backend);
        WeightSource weights = VisionBed.open("moiie/siglip_tiny/model.safetensors");
        WeightSource inputs = VisionBed.open("moiie/s2/inputs.safetensors");
        WeightSource expected = VisionBed.open("moiie/s2/expected.safetensors");
        var encoder =
            new ImageEncoder(
                bed.parameters(weights, Set.of()),
                "",
                config(tower("moiie/siglip_tiny"), -2, List.of()))) {
      Tape tape = Tape.off(bed.backend, bed.arena);
      Array pixels = bed.array(inputs.tensor("plain.pixel_values"));
      var seen = new ArrayList<float[]>();
      Tensor features =
          encoder.features(
              tape,
              pixels,
              states -> states.forEach(s -> seen.add(bed.backend.toFloats(bed.arena, s.data()))));
      assertThat(seen).hasSize(3);
      for (int i = 0; i < seen.size(); i++) {
        float[] want = expected.tensor("plain.hidden_states." + i).floats();
        VisionBed.agree("state " + i, seen.get(i), want);
      }
      bed.agree("features", features, expected.tensor("plain.features"));
    }
  }

  @ParameterizedTest
  @CsvSource({"cpu, 3", "cpu, 7", "nd4j, 3", "nd4j, 7"})
  void dinoPatchesAreResizedToTheGridAskedFor(String backend, int grid) {
    try (var bed = new VisionBed(backend);
        WeightSource weights = VisionBed.open("hf/hf_dinov2/model.safetensors");
        WeightSource inputs = VisionBed.open("hf/hf_dinov2/inputs.safetensors");
        WeightSource resized = VisionBed.open("hf/hf_dinov2/resized.safetensors");
        var encoder =
            new ImageEncoder(
                bed.parameters(weights, Set.of()),
                "",
                new VisionConfig(
                    tower("hf/hf_dinov2"), "mlp2x_gelu", -1, 0, List.of(), grid, false))) {
      Array pixels = bed.array(inputs.tensor("pixel_values"));
      Tensor features = encoder.features(Tape.off(bed.backend, bed.arena), pixels, states -> {});
      bed.agree("features", features, resized.tensor("grid." + grid));
    }
  }

  @ParameterizedTest
  @MethodSource("io.moextend.vision.VisionBed#backends")
  void anUnfrozenTowerTrainsAtSeveralScalesAndAFrozenOneKeepsNothing(String backend) {
    for (boolean trains : new boolean[] {true, false}) {
      try (var bed = new VisionBed(backend);
          WeightSource weights = VisionBed.open("moiie/siglip_tiny_p14/model.safetensors");
          WeightSource inputs = VisionBed.open("moiie/s2/inputs.safetensors");
          var encoder =
              new ImageEncoder(
                  bed.parameters(weights, trains ? Set.of(Role.VISION_TOWER) : Set.of()),
                  "",
                  config(tower("moiie/siglip_tiny_p14"), -2, List.of(28, 56)))) {
        Tape tape = bed.tape();
        Array pixels = bed.array(inputs.tensor("b.pixel_values"));
        Tensor features = encoder.features(tape, pixels, states -> {});
        if (trains) {
          Array ones = bed.arena.allocate(DType.F32, features.data().shape());
          bed.backend.fillInto(ones, 1);
          tape.backward(features, ones);
          assertThat(bed.gradients)
              .containsKeys(
                  "vision_model.embeddings.patch_embedding.bias",
                  "vision_model.embeddings.position_embedding.weight",
                  "vision_model.encoder.layers.1.mlp.fc2.weight")
              .doesNotContainKey("vision_model.encoder.layers.2.mlp.fc2.weight");
          // a bias of the last layer that runs: all ones, once for each of 3 images' patches
          float[] bias = bed.gradients.get("vision_model.encoder.layers.1.mlp.fc2.bias");
          assertThat(bias).isNotNull();
          for (float d : bias) {
            assertThat(d).isEqualTo(3f * 4 * 2);
          }
        } else {
          assertThat(tape.length()).isZero();
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("io.moextend.vision.VisionBed#backends")
  void pixelsOfAnotherSizeAreRefused(String backend) {
    try (var bed = new VisionBed(backend);
        WeightSource weights = VisionBed.open("moiie/siglip_tiny/model.safetensors");
        var encoder =
            new ImageEncoder(
                bed.parameters(weights, Set.of()),
                "",
                config(tower("moiie/siglip_tiny"), -2, List.of(28, 56)))) {
      Array small = bed.arena.allocate(DType.F32, 1, 3, 28, 28);
      assertThatThrownBy(
              () -> encoder.features(Tape.off(bed.backend, bed.arena), small, states -> {}))
          .isInstanceOf(ShapeException.class)
          .hasMessageContaining("pixels has shape [1, 3, 28, 28], wanted [-1, 3, 56, 56]");
    }
  }

  @Test
  void scalesThatDoNotDivideAreRefused() {
    TowerConfig tower = tower("moiie/siglip_tiny");
    assertThatThrownBy(() -> config(tower, -2, List.of(28, 50)))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("s2_scales")
        .hasMessageContaining("50 must be a multiple of image_size=28");
    assertThatThrownBy(() -> config(tower, -2, List.of(56, 84)))
        .hasMessageContaining("the smallest must be the tower's image_size=28");
    assertThat(config(tower, -2, List.of(28, 112)).features()).isEqualTo(2 * tower.hidden());
  }

  @Test
  void dinoFeaturesBeforeTheLastNormAreRefused() {
    assertThatThrownBy(() -> config(tower("hf/hf_dinov2"), -2, List.of()))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("mm_vision_select_layer=-2")
        .hasMessageContaining("write -1");
  }
}
