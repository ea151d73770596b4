package io.moextend.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.moextend.Golden;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What configs in Bunny's style say of images, and towers of their own. */
class VisionJsonTest {
  private static final JsonMapper JSON = JsonMapper.builder().build();

  @TempDir Path folder;
  private ObjectNode json;

  @BeforeEach
  void aModelThatNamesATower() throws IOException {
    json = (ObjectNode) JSON.readTree(Golden.path("hf/hf_llama/config.json").toFile());
    json.put("mm_vision_tower", "siglip_tiny").put("image_aspect_ratio", "pad");
  }

  private HuggingFaceConfig read() throws IOException {
    Path model = Files.createDirectories(folder.resolve("model"));
    return HuggingFaceConfig.read(Files.writeString(model.resolve("config.json"), json.toString()));
  }

  private void besideIt(String tower) throws IOException {
    Path own = Files.createDirectories(folder.resolve(tower));
    Files.copy(Golden.path("moiie/" + tower + "/config.json"), own.resolve("config.json"));
  }

  private static VisionConfig vision(HuggingFaceConfig config) {
    return Objects.requireNonNull(config.decoder().vision());
  }

  @Test
  void aTowerBesideTheModelIsReadAndWrittenIntoItsConfig() throws IOException {
    besideIt("siglip_tiny");
    json.put("use_s2", true).put("s2_scales", "84,28,56").put("mm_hidden_size", 72);
    HuggingFaceConfig config = read();
    TowerConfig tower = HuggingFaceConfig.read(Golden.path("moiie/siglip_tiny")).tower();
    VisionConfig vision = vision(config);
    assertThat(vision)
        .isEqualTo(
            new VisionConfig(
                tower, "mlp2x_gelu", -2, VisionConfig.PLACEHOLDER, List.of(28, 56, 84), 4, true));
    assertThat(vision.imageSize()).isEqualTo(84);
    assertThat(vision.tokens()).isEqualTo(16);
    assertThat(vision.features()).isEqualTo(72);
    assertThat(config.json().has("vision_config")).isTrue();
    assertThat(config.with(config.decoder()).json()).isEqualTo(config.json());
    assertThat(HuggingFaceConfig.of(config.decoder()).decoder().vision()).isEqualTo(vision);
    assertThatThrownBy(vision::imageEnd).isInstanceOf(IllegalStateException.class);
  }

  @Test
  void aWidthThatScalesDoNotMakeIsRefused() throws IOException {
    besideIt("siglip_tiny");
    json.put("use_s2", true).put("s2_scales", "28,56").put("mm_hidden_size", 24);
    assertThatThrownBy(this::read)
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("mm_hidden_size=24: 2 scales of the vision tower's hidden_size=24");
    json.put("s2_scales", "28;56");
    assertThatThrownBy(this::read).hasMessageContaining("write sizes with commas between them");
    json.put("s2_scales", "28,60");
    assertThatThrownBy(this::read).hasMessageContaining("60 must be a multiple of image_size=28");
    json.remove("s2_scales");
    assertThatThrownBy(this::read)
        .hasMessageContaining("the smallest must be the tower's image_size=28");
  }

  @Test
  void thePublishedSiglipIsKnownByItsName() throws IOException {
    json.put("mm_vision_tower", "google/siglip-so400m-patch14-384").put("use_s2", true);
    VisionConfig vision = vision(read());
    assertThat(vision.tower()).isEqualTo(TowerConfig.SIGLIP_SO400M_384);
    assertThat(vision.tokens()).isEqualTo(729);
    assertThat(vision.features()).isEqualTo(3456);
    assertThat(vision.scales()).containsExactly(384, 768, 1152);
  }

  @ParameterizedTest
  @ValueSource(strings = {"..", ".", "siglip_tiny/..", "../..", "nowhere"})
  void aNameLeadsToNoOtherFolder(String name) throws IOException {
    besideIt("siglip_tiny");
    Files.copy(Golden.path("moiie/siglip_tiny/config.json"), folder.resolve("config.json"));
    json.put("mm_vision_tower", name);
    assertThatThrownBy(this::read)
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("mm_vision_tower")
        .hasMessageContaining("or its folder beside this one");
  }

  @Test
  void anotherShapeOfPicturesIsRefused() throws IOException {
    besideIt("siglip_tiny");
    json.put("image_aspect_ratio", "anyres");
    assertThatThrownBy(this::read)
        .hasMessageContaining("image_aspect_ratio=\"anyres\"")
        .hasMessageContaining("only \"pad\" and \"square\" are built");
  }

  @Test
  void bunnysDinoHas27PatchesASideUnlessSaidOtherwise() throws IOException {
    var dino = (ObjectNode) JSON.readTree(Golden.path("hf/hf_dinov2/config.json").toFile());
    json.set("vision_config", dino);
    assertThat(vision(read()).grid()).isEqualTo(27);
    assertThat(vision(read()).featureLayer()).isEqualTo(-1);
    json.put("mm_vision_grid", 3);
    VisionConfig vision = vision(read());
    assertThat(vision.tokens()).isEqualTo(9);
    assertThat(HuggingFaceConfig.of(read().decoder()).decoder().vision()).isEqualTo(vision);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"hf/hf_siglip_vision", "hf/hf_dinov2", "hf/hf_dinov2_gated", "hf/hf_clip_vision"})
  void aTowersConfigIsWrittenAsItIsRead(String name) {
    HuggingFaceConfig config = HuggingFaceConfig.read(Golden.path(name));
    HuggingFaceConfig fresh = HuggingFaceConfig.of(config.tower());
    assertThat(fresh.tower()).isEqualTo(config.tower());
    assertThat(fresh.json().get("architectures")).isEqualTo(config.json().get("architectures"));
    assertThat(config.with(config.tower()).json()).isEqualTo(config.json());
  }

  @Test
  void aWholeSiglipsTowerIsTheOneInside() throws IOException {
    var inside =
        (ObjectNode) JSON.readTree(Golden.path("hf/hf_siglip_vision/config.json").toFile());
    TowerConfig alone = HuggingFaceConfig.read(Golden.path("hf/hf_siglip_vision")).tower();
    inside.remove(List.of("model_type", "hidden_act", "layer_norm_eps"));
    json = JSON.createObjectNode().put("model_type", "siglip");
    json.set("vision_config", inside);
    assertThat(read().tower()).isEqualTo(alone);
  }

  @Test
  void aPhi3ThatIsGivenATowerIsWrittenAsABunnyReads() throws IOException {
    json = (ObjectNode) JSON.readTree(Golden.path("hf/hf_phi3/config.json").toFile());
    json.putObject("auto_map").put("AutoConfig", "configuration_phi3.Phi3Config");
    HuggingFaceConfig text = read();
    DecoderConfig bunny = text.decoder().with(text.decoder().type().seeing());
    VisionConfig vision =
        VisionConfig.bunny(
            TowerConfig.SIGLIP_SO400M_384, "mlp2x_gelu", List.of(384, 768, 1152), true);
    ObjectNode written = text.with(bunny.with(vision, bunny.vocab())).json();
    assertThat(written.get("model_type").asText()).isEqualTo("bunny-phi3");
    assertThat(written.at("/architectures/0").asText()).isEqualTo("BunnyPhi3ForCausalLM");
    assertThat(written.has("auto_map")).isFalse();
    assertThat(written.get("mm_vision_tower").asText())
        .isEqualTo("google/siglip-so400m-patch14-384");
    assertThat(written.get("mm_projector_type").asText()).isEqualTo("mlp2x_gelu");
    assertThat(written.get("mm_hidden_size").asInt()).isEqualTo(3456);
    assertThat(written.get("use_s2").asBoolean()).isTrue();
    assertThat(written.get("s2_scales").asText()).isEqualTo("384,768,1152");
    assertThat(written.get("image_aspect_ratio").asText()).isEqualTo("pad");
    assertThat(written.get("use_mm_proj").asBoolean()).isTrue();
    assertThat(written.get("mm_use_im_start_end").asBoolean(true)).isFalse();
    assertThat(written.get("tokenizer_padding_side").asText()).isEqualTo("right");
    assertThat(written.get("mm_vision_select_layer").asInt()).isEqualTo(-2);
    assertThat(written.get("rope_theta")).isEqualTo(json.get("rope_theta"));
  }
}
