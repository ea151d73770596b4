package io.moextend.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.moextend.Golden;
import io.moextend.backend.Activation;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class HuggingFaceConfigTest {
  private static final JsonMapper JSON = JsonMapper.builder().build();
  private static final TowerConfig TINY_TOWER =
      new TowerConfig(
          new TowerFamily.Clip(), 24, 40, 2, 3, 3, 24, 4, Activation.QUICK_GELU, 1e-5, 0.02);

  @TempDir Path folder;

  @ParameterizedTest
  @ValueSource(
      strings = {
        "moextend/vision_align",
        "moextend/vision_gate",
        "moextend/moextend_ft",
        "moextend/moextend_ft_rand",
        "moextend/clip_tiny",
        "hf/hf_mixtral",
        "hf/hf_llama",
        "hf/hf_llama31",
        "hf/hf_mistral",
        "hf/hf_qwen2",
        "hf/hf_phi3",
        "hf/hf_phi3_longrope",
        "hf/hf_clip_vision"
      })
  void aConfigIsWrittenBackFieldForField(String name) throws IOException {
    Path file = Golden.path(name + "/config.json");
    var config = HuggingFaceConfig.read(file);
    config.with(config.model()).write(folder.resolve("config.json"));
    assertThat(tree(folder.resolve("config.json"))).isEqualTo(tree(file));
    assertThat(HuggingFaceConfig.read(folder).model()).isEqualTo(config.model());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "moextend/vision_gate",
        "moextend/moextend_ft",
        "hf/hf_llama",
        "hf/hf_llama31",
        "hf/hf_mistral",
        "hf/hf_qwen2",
        "hf/hf_phi3",
        "hf/hf_phi3_longrope",
        "moextend/clip_tiny"
      })
  void aModelWithoutAPublishedFileGetsOneThatSaysTheSame(String name) throws IOException {
    ModelConfig model = HuggingFaceConfig.read(Golden.path(name)).model();
    HuggingFaceConfig.of(model).write(folder.resolve("config.json"));
    assertThat(HuggingFaceConfig.read(folder).model()).isEqualTo(model);
    assertThat(tree(folder.resolve("config.json")).at("/architectures/0").asText()).isNotEmpty();
  }

  @Test
  void everyFieldOfAnExtendedModelIsUnderstood() {
    var want =
        new DecoderConfig(
            "mixtral",
            480,
            32,
            3,
            new DecoderConfig.Heads(4, 2, 8),
            new DecoderConfig.Rope(1e6, 256),
            0,
            1e-5,
            0.02,
            false,
            new FeedForwardConfig.Experts(48, 8, 2, new TreeSet<>(Set.of(0, 2)), 0.001),
            new DecoderConfig.SpecialTokens(1, 2, 2),
            new VisionConfig(TINY_TOWER, "mlp2x_gelu", -1, 440));
    assertThat(HuggingFaceConfig.read(Golden.path("moextend/moextend_ft")).decoder())
        .isEqualTo(want);
  }

  @Test
  void aPlainMixtralTakesNoImagesAndALlamaHasOneNetwork() {
    DecoderConfig mixtral = HuggingFaceConfig.read(Golden.path("hf/hf_mixtral")).decoder();
    assertThat(mixtral.vision()).isNull();
    assertThat(mixtral.feedForward())
        .isEqualTo(new FeedForwardConfig.Experts(40, 4, 2, new TreeSet<>(), 0.02));
    DecoderConfig llama = HuggingFaceConfig.read(Golden.path("hf/hf_llama")).decoder();
    assertThat(llama.feedForward()).isEqualTo(new FeedForwardConfig.Dense(72));
    assertThat(llama.rope().theta()).isEqualTo(10_000);
  }

  @Test
  void aPublishedConfigTakesTheTowerOfThePublishedCodeForGranted() {
    Path file = Golden.path("moextend/moextend_init/source_config.json");
    assertThat(HuggingFaceConfig.read(file).decoder().vision())
        .isEqualTo(new VisionConfig(TowerConfig.CLIP_LARGE_336, "mlp2x_gelu", -1, 440));
  }

  @Test
  void extendingChangesWhatThePublishedScriptChangesAndNothingElse() throws IOException {
    Path source = Golden.path("moextend/moextend_init/source_config.json");
    var config = HuggingFaceConfig.read(source);
    HuggingFaceConfig extended = config.with(extended(config.decoder(), Set.of(0, 2)));
    extended.write(folder.resolve("config.json"));
    ObjectNode want = (ObjectNode) tree(Golden.path("moextend/moextend_init/expected_config.json"));
    // the one other difference: the folder that Python had loaded from
    want.set("_name_or_path", tree(source).get("_name_or_path"));
    assertThat(tree(folder.resolve("config.json"))).isEqualTo(want);
    assertThat(HuggingFaceConfig.read(folder).model()).isEqualTo(extended.model());
  }

  @Test
  void givingAMixtralEyesAddsOnlyTheFieldsOfImages() throws IOException {
    Path source = Golden.path("hf/hf_mixtral");
    var config = HuggingFaceConfig.read(source);
    DecoderConfig plain = config.decoder();
    var seeing = withVision(plain, 200, new VisionConfig(TINY_TOWER, "mlp2x_gelu", -1, 128));
    ObjectNode json = config.with(seeing).json();
    assertThat(json.get("vocab_size").asInt()).isEqualTo(200);
    assertThat(json.at("/visual/image_start_id").asInt()).isEqualTo(128);
    assertThat(json.at("/vision_config/hidden_size").asInt()).isEqualTo(24);
    json.remove(
        Set.of(
            "visual",
            "vision_config",
            "mm_projector_type",
            "mm_hidden_size",
            "mm_vision_select_layer"));
    json.put("vocab_size", 128);
    assertThat(json).isEqualTo(tree(source.resolve("config.json")));
  }

  @Test
  void widenedEmbeddingsAreNeededForTheIdsOfImages() {
    var config = HuggingFaceConfig.read(Golden.path("hf/hf_mixtral"));
    var seeing =
        withVision(config.decoder(), 128, new VisionConfig(TINY_TOWER, "mlp2x_gelu", -1, 128));
    assertThatThrownBy(() -> config.with(seeing))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("visual.image_start_id=128")
        .hasMessageContaining("vocab_size=128");
  }

  @Test
  void aClipOfTwoTowersGivesItsVisionTowerAndKeepsTheRest() throws IOException {
    String text =
        """
        {"model_type": "clip", "logit_scale_init_value": 2.6592,
         "text_config": {"hidden_size": 768, "model_type": "clip_text_model"},
         "vision_config": {"hidden_size": 1024, "image_size": 336, "intermediate_size": 4096,
           "num_attention_heads": 16, "num_hidden_layers": 24, "patch_size": 14, "dropout": 0.0}}
        """;
    Path file = Files.writeString(folder.resolve("config.json"), text);
    var config = HuggingFaceConfig.read(file);
    assertThat(config.tower()).isEqualTo(TowerConfig.CLIP_LARGE_336);
    assertThat(config.with(config.tower()).json()).isEqualTo(tree(file));
    TowerConfig t = config.tower();
    var larger =
        new TowerConfig(
            t.family(),
            t.hidden(),
            t.intermediate(),
            t.layers(),
            t.heads(),
            t.channels(),
            448,
            t.patchSize(),
            t.activation(),
            t.normEps(),
            t.initializerRange());
    ObjectNode want = (ObjectNode) tree(file);
    ((ObjectNode) want.get("vision_config")).put("image_size", 448);
    assertThat(config.with(larger).json()).isEqualTo(want);
  }

  @Test
  void aTowerIsNoLanguageModelAndTheOtherWayRound() {
    var tower = HuggingFaceConfig.read(Golden.path("moextend/clip_tiny"));
    var decoder = HuggingFaceConfig.read(Golden.path("hf/hf_llama"));
    assertThatThrownBy(tower::decoder)
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("a language model is wanted");
    assertThatThrownBy(decoder::tower)
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("a vision tower is wanted");
  }

  @Test
  void thetaIsFoundWhereNewerFilesKeepIt() throws IOException {
    ObjectNode json = (ObjectNode) tree(Golden.path("hf/hf_llama/config.json"));
    json.remove("rope_theta");
    json.putObject("rope_parameters").put("rope_theta", 5e5).put("rope_type", "default");
    Path file = Files.writeString(folder.resolve("config.json"), json.toString());
    assertThat(HuggingFaceConfig.read(file).decoder().rope().theta()).isEqualTo(5e5);
  }

  private static DecoderConfig extended(DecoderConfig config, Set<Integer> layers) {
    var experts = (FeedForwardConfig.Experts) config.feedForward();
    return changed(
        config,
        config.vocab(),
        new FeedForwardConfig.Experts(
            experts.width(),
            experts.count(),
            experts.topK(),
            new TreeSet<>(layers),
            experts.balanceCoefficient()),
        java.util.Objects.requireNonNull(config.vision()));
  }

  private static DecoderConfig withVision(DecoderConfig config, int vocab, VisionConfig vision) {
    return changed(config, vocab, config.feedForward(), vision);
  }

  private static DecoderConfig changed(
      DecoderConfig config, int vocab, FeedForwardConfig feedForward, VisionConfig vision) {
    return new DecoderConfig(
        config.modelType(),
        vocab,
        config.hidden(),
        config.layers(),
        config.heads(),
        config.rope(),
        config.window(),
        config.normEps(),
        config.initializerRange(),
        config.tiedHead(),
        feedForward,
        config.tokens(),
        vision);
  }

  private static JsonNode tree(Path file) throws IOException {
    return JSON.readTree(file.toFile());
  }
}
