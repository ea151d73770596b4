package io.moextend.cli;

import static io.moextend.cli.Bunny.ran;
import static io.moextend.cli.Bunny.tree;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.moextend.checkpoint.CheckpointFolder;
import io.moextend.checkpoint.WeightSource;
import io.moextend.data.ConversationTemplate;
import io.moextend.stage.Stage;
import io.moextend.text.ImagePlaces;
import io.moextend.text.SegmentPrefix;
import io.moextend.text.Tokenizer;
import io.moextend.train.Progress;
import io.moextend.train.TrainConfig;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Text models that are given a tower, trained on conversations about images, and asked. */
class BunnyRunTest {
  private static final String TOWER = "model.vision_tower=" + Bunny.TOWER;

  @TempDir Path folder;

  private Bunny bunny;

  @BeforeEach
  void makeSamples() {
    bunny = Bunny.in(folder);
  }

  @ParameterizedTest
  @CsvSource({
    "phi3, false, bunny-phi3, BunnyPhi3ForCausalLM",
    "phi3, true, bunny-mm-phi3-moe-s, BunnyMMSPhi3MoEForCausalLM",
    "llama, false, bunny-llama, BunnyLlamaForCausalLM",
    "llama, true, bunny-mm-llama3-moe-s, BunnyMMSLlamaMoEForCausalLM"
  })
  void aTextModelAndATowerBecomeOneThatAnswersAboutImages(
      String family, boolean mixture, String type, String reader) {
    Path base = bunny.text(family);
    Path model = folder.resolve("out/model");
    ran(
        bunny.train(
            "full",
            mixture ? bunny.moiie(base) : base,
            folder.resolve("out"),
            TOWER,
            "model.image_aspect_ratio=pad",
            "data.eval_split=0.4",
            "evaluation.eval_steps=3"));
    assertThat(Workspace.read(folder.resolve("out/metrics.jsonl"))).contains("\"eval_loss\":");
    JsonNode config = tree(model.resolve("config.json"));
    assertThat(config.get("model_type").asText()).isEqualTo(type);
    assertThat(config.at("/architectures/0").asText()).isEqualTo(reader);
    assertThat(config.get("mm_vision_tower").asText()).contains("siglip");
    assertThat(config.get("mm_projector_type").asText()).isEqualTo("mlp2x_gelu");
    assertThat(config.get("mm_hidden_size").asInt()).isEqualTo(24);
    assertThat(config.get("image_aspect_ratio").asText()).isEqualTo("pad");
    assertThat(config.get("use_mm_proj").asBoolean()).isTrue();
    try (WeightSource weights = CheckpointFolder.open(model)) {
      assertThat(weights.names())
          .contains("model.mm_projector.0.weight", "model.mm_projector.2.bias")
          .anyMatch(name -> name.startsWith("model.vision_tower.vision_tower.vision_model."))
          .noneMatch(name -> name.startsWith("model.visual."));
    }
    ran("generate", "--model", model, "--prompt", "the tin?", "--max-new-tokens", 4);
    Path image = Bunny.IMAGES.resolve("tall.png");
    Ran seen = asked(model, image, "the tin?");
    assertThat(seen.err())
        .startsWith("prompt of %d tokens".formatted(prompt(model, family, "<image>\nthe tin?")));
    assertThat(asked(model, image, "<image>\nthe tin?").out()).isEqualTo(seen.out());
  }

  /** Ids of a question, its image standing for 16 patches. */
  private static int prompt(Path model, String family, String question) {
    try (Tokenizer tokenizer = Tokenizer.open(model, SegmentPrefix.AS_FILE)) {
      String text =
          ConversationTemplate.named(family.equals("phi3") ? "phi3" : "llama")
              .question(List.of(question));
      return new ImagePlaces(tokenizer, 16).encode(text).length + 15;
    }
  }

  private static Ran asked(Path model, Path image, String prompt) {
    return ran(
        "generate", "--model", model, "--image", image, "--prompt", prompt, "--max-new-tokens", 4);
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void aRunThatGoesOnEndsWithTheSameBytes(boolean mixture) throws IOException {
    Path dense = bunny.text("phi3");
    Path base = mixture ? bunny.moiie(dense) : dense;
    String[] settings = {
      TOWER,
      "data.group_by_modality_length=true",
      "model.s2_scales=[28, 56]",
      "training.per_device_train_batch_size=1",
      "training.gradient_accumulation_steps=2",
      "checkpoints.save_steps=2"
    };
    Path whole = folder.resolve("whole");
    ran(bunny.train("full", base, whole, settings));
    assertThat(tree(whole.resolve("model/config.json")).get("s2_scales").asText())
        .isEqualTo("28,56");

    Path again = folder.resolve("again");
    String from = "checkpoints.resume_from_checkpoint=" + whole.resolve("checkpoint-2");
    ran(bunny.train("full", base, again, more(settings, from)));
    assertThat(again.resolve("model/model.safetensors"))
        .hasSameBinaryContentAs(whole.resolve("model/model.safetensors"));

    for (String other :
        List.of(
            "data.group_by_modality_length=false",
            "data.conversation_template=bunny",
            "model.image_aspect_ratio=pad")) {
      Ran refused = Ran.moextend(bunny.train("full", base, again, more(settings, from, other)));
      assertThat(refused.code()).isEqualTo(2);
      assertThat(refused.err()).contains(other.substring(0, other.indexOf('=')));
    }
  }

  private static String[] more(String[] settings, String... others) {
    return Stream.concat(Arrays.stream(settings), Arrays.stream(others)).toArray(String[]::new);
  }

  @Test
  void featuresThatWereKeptTrainAsThoseMadeAnew() throws IOException {
    Path base = bunny.text("phi3");
    Path kept = folder.resolve("features");
    String[] outs = {"anew", "first", "second"};
    for (String out : outs) {
      ran(
          bunny.train(
              "alignment",
              base,
              folder.resolve(out),
              TOWER,
              "model.projector_type=minigpt",
              "data.feature_cache=" + (out.equals("anew") ? "null" : kept.toString())));
      assertThat(folder.resolve(out + "/model/model.safetensors"))
          .hasSameBinaryContentAs(folder.resolve("anew/model/model.safetensors"));
    }
    try (var files = Files.walk(kept)) {
      assertThat(files.filter(Files::isRegularFile)).isNotEmpty();
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"model", "checkpoint-3"})
  void aProjectorTrainedOnTheDenseModelIsTakenByTheMixture(String of) throws IOException {
    Path dense = bunny.text("phi3");
    Path first = folder.resolve("first");
    ran(
        bunny.train(
            "alignment", dense, first, TOWER, "training.dtype=f32", "checkpoints.save_steps=3"));
    Path second = folder.resolve("second");
    ran(
        bunny.train(
            "extension",
            bunny.moiie(dense),
            second,
            TOWER,
            "model.projector=" + first.resolve(of)));
    try (WeightSource trained = CheckpointFolder.open(first.resolve("model"));
        WeightSource taken = CheckpointFolder.open(second.resolve("model"))) {
      String name = "model.mm_projector.0.weight";
      assertThat(taken.tensor(name).floats()).isEqualTo(trained.tensor(name).floats());
    }
  }

  @Test
  void theFirstStagesModelIsConvertedAndGoesOnWithPaddedPictures() {
    Path first = folder.resolve("first");
    ran(bunny.train("alignment", bunny.text("phi3"), first, TOWER));
    Path base = bunny.moiie(first.resolve("model"));
    Path second = folder.resolve("second");
    ran(bunny.train("full", base, second, "model.image_aspect_ratio=pad"));
    JsonNode config = tree(second.resolve("model/config.json"));
    assertThat(config.get("model_type").asText()).isEqualTo("bunny-mm-phi3-moe-s");
    assertThat(config.get("image_aspect_ratio").asText()).isEqualTo("pad");
  }

  @Test
  void samplesOfWhichNothingIsLearntAreCountedAndTheFirstNamed() {
    Path base = bunny.text("phi3");
    bunny.train("alignment", base, folder.resolve("out"));
    var said = new ByteArrayOutputStream();
    try (var out = new PrintStream(said, true, StandardCharsets.UTF_8);
        RankGroup alone = RankGroup.alone(() -> false)) {
      TrainConfig config = TrainConfig.read(folder.resolve("run.yaml"), List.of(TOWER));
      new TrainingRun(Stage.ALIGNMENT, config, alone, out, Progress.Display.QUIET).run();
    }
    assertThat(said.toString(StandardCharsets.UTF_8))
        .contains("nothing is learnt of 1 samples; the first is")
        .contains("train.json: sample 5 (id 4): its rounds make");
  }
}
