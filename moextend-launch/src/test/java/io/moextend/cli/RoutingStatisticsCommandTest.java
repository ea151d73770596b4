package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.moextend.Golden;
import io.moextend.GoldenModels;
import io.moextend.moe.TokenGroup;
import io.moextend.stage.ExpertGroup;
import io.moextend.stage.RoutingFile;
import io.moextend.stage.RoutingStatistics;
import io.moextend.stage.RoutingStatistics.ExpertLoad;
import io.moextend.stage.RoutingStatistics.Layer;
import io.moextend.stage.RoutingStatistics.Load;
import io.moextend.stage.VisionTokens;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class RoutingStatisticsCommandTest {
  private static final Path IMAGES = Golden.path("moiie/preprocessing/images");
  private static final Path TOKENIZER = Golden.path("moiie/tokenizers/tok_phi3");
  private static final int PATCHES = 16;

  @TempDir Path folder;

  /** A random model of a golden case's shape that knows the tokenizer's words. */
  private Path model(String golden) {
    Workspace.copy(Golden.path("moiie/siglip_tiny"), folder.resolve("siglip_tiny"));
    ObjectNode config = Converted.config(Golden.path("moiie/" + golden));
    config.put("vocab_size", 480).put("max_position_embeddings", 512);
    config.put("original_max_position_embeddings", 512).put("initializer_range", 0.2);
    Path shape = folder.resolve(golden + ".json");
    Workspace.write(shape, config.toString());
    return random(shape, folder.resolve(golden));
  }

  private static Path random(Path shape, Path model) {
    Ran ran =
        Ran.moextend(
            "random-model", "--config", shape, "--tokenizer", TOKENIZER, "--output", model);
    assertThat(ran.code()).as(ran.err()).isZero();
    return model;
  }

  /** Two questions with an image each, one without. */
  private Path samples() {
    Path file = folder.resolve("samples.json");
    Workspace.write(
        file,
        """
        [{"id": "0", "image": "wide.png", "conversations": [
           {"from": "human", "value": "<image>\\nWhat is in it?"}, {"from": "gpt", "value": "a red tin"}]},
         {"id": "1", "image": "tall.png", "conversations": [
           {"from": "human", "value": "See the scene <image>"}, {"from": "gpt", "value": "an ant"}]},
         {"id": "2", "conversations": [
           {"from": "human", "value": "How many?"}, {"from": "gpt", "value": "two of them."}]}]
        """);
    return file;
  }

  private Path words() {
    Path file = folder.resolve("words.json");
    Workspace.write(
        file,
        """
        [{"id": "2", "conversations": [
           {"from": "human", "value": "How many?"}, {"from": "gpt", "value": "two of them."}]}]
        """);
    return file;
  }

  private Path output() {
    return folder.resolve("routing.json");
  }

  private Ran run(Path model, Path data, Object... more) {
    var words = new ArrayList<Object>(List.of("routing-statistics", "--model", model));
    words.addAll(List.of("--data", data, "--output", output()));
    words.addAll(List.of(more));
    return Ran.moextend(words.toArray());
  }

  private RoutingStatistics counted(Path model, Path data, Object... more) {
    Ran ran = run(model, data, more);
    assertThat(ran.code()).as(ran.out() + ran.err()).isZero();
    return RoutingFile.read(output()).routing();
  }

  @ParameterizedTest
  @CsvSource({
    "moiie_phi3, moiie, 'vision-intra,inter,text-intra'",
    "vanilla_phi3, vanilla, experts",
    "modality_phi3, modality, 'vision,text'",
    "routed_modality_phi3, routed-modality, 'vision,text'",
  })
  void everySchemeIsCountedThroughItsTowerAndItsTemplate(
      String golden, String scheme, String groups) throws IOException {
    Path model = model(golden);
    RoutingStatistics routing = counted(model, samples(), "--image-root", IMAGES);
    assertThat(routing.scheme()).isEqualTo(scheme);
    assertThat(routing.samples()).isEqualTo(3);
    assertThat(routing.vision()).isEqualTo(VisionTokens.PATCHES_BEFORE_A_PATCH);
    assertThat(routing.visionTokens()).isEqualTo(2 * (PATCHES - 1));
    assertThat(routing.textTokens()).isGreaterThan(60);
    assertThat(routing.layers().stream().map(Layer::layer)).containsExactly(1, 3);
    for (Layer layer : routing.layers()) {
      assertThat(layer.groups().stream().map(ExpertGroup::name)).containsExactly(groups.split(","));
      assertThat(layer.loads()).hasSize(3);
    }
    byte[] numbers = Files.readAllBytes(output());
    Path page = folder.resolve("routing.html");
    assertThat(page)
        .content()
        .contains("Experts of vision tokens", scheme, "samples.json")
        .doesNotContain("<script", "http:", "https:", "NaN");

    Files.move(page, folder.resolve("first.html"));
    Files.delete(output());
    counted(model, samples(), "--image-root", IMAGES);
    assertThat(output()).as("run again").hasBinaryContent(numbers);
    assertThat(page).hasSameTextualContentAs(folder.resolve("first.html"));
  }

  @Test
  void batchesOfAnySizeCountTheSame() throws IOException {
    Path model = model("moiie_phi3");
    RoutingStatistics whole = counted(model, samples(), "--image-root", IMAGES);
    Files.delete(output());
    Files.delete(folder.resolve("routing.html"));
    RoutingStatistics single = counted(model, samples(), "--image-root", IMAGES, "--batch", 1);
    for (int l = 0; l < whole.layers().size(); l++) {
      for (Load load : whole.layers().get(l).loads()) {
        Load other = single.layers().get(l).load(load.tokens()).orElseThrow();
        assertThat(other.busiest()).isEqualTo(load.busiest());
        for (ExpertLoad expert : load.experts()) {
          ExpertLoad same = other.expert(expert.expert()).orElseThrow();
          assertThat(same.slots()).isEqualTo(expert.slots());
          assertThat(same.meanWeight()).isCloseTo(expert.meanWeight(), within(1e-5));
        }
      }
    }
  }

  @Test
  void theTerminalShowsTheBusiestExpertsAndTheGroups() {
    Ran ran = run(model("moiie_phi3"), samples(), "--image-root", IMAGES);
    assertThat(ran.code()).as(ran.err()).isZero();
    assertThat(ran.out())
        .contains("routing: 3/3 samples", "written: " + output())
        .contains("moiie, 2 of up to 4 experts a token; 3 samples, 30 vision and ")
        .containsPattern(
            "layer +tokens +busiest expert +next expert +evenness +vision-intra +inter")
        .containsPattern(
            "    1  vision +[012]: \\d+\\.\\d % +[012]: \\d+\\.\\d % +\\d+\\.\\d % .* -\\R");
  }

  @Test
  void wordsAloneAreSaidToHaveNoVisionTokens() {
    Ran ran = run(model("moiie_phi3"), words());
    assertThat(ran.code()).as(ran.err()).isZero();
    assertThat(ran.out()).contains("the samples had no vision tokens").doesNotContain("NaN");
    RoutingStatistics routing = RoutingFile.read(output()).routing();
    assertThat(routing.visionTokens()).isZero();
    assertThat(routing.layers().getFirst().load(TokenGroup.VISION)).isEmpty();
    assertThat(folder.resolve("routing.html"))
        .content()
        .contains("The samples had no vision tokens.");
  }

  @Test
  void aMixtralIsCountedOverTheSameTokensAsByExpertDistribution() {
    RoutingStatistics routing =
        counted(
            GoldenModels.beforeExtension(),
            Golden.path("moextend/data/train.json"),
            "--tokenizer",
            Golden.path("moextend/tokenizer_tiny"));
    assertThat(routing.scheme()).isEqualTo("mixtral");
    assertThat(routing.vision()).isEqualTo(VisionTokens.PATCHES);
    assertThat(routing.visionTokens()).isEqualTo(3 * 36);
    assertThat(routing.tokens(TokenGroup.ALL)).isEqualTo(156);
    assertThat(routing.layers()).hasSize(3);
  }

  @Test
  void theExpertThatMoExtendAddedIsAGroupOfItsOwn() {
    RoutingStatistics routing =
        counted(
            Golden.path("moextend/moextend_ft"),
            Golden.path("moextend/data/train.json"),
            "--tokenizer",
            Golden.path("moextend/tokenizer_tiny"));
    assertThat(routing.scheme()).isEqualTo("moextend");
    assertThat(routing.layers().get(0).groups().stream().map(ExpertGroup::name))
        .containsExactly("pretrained", "added");
    assertThat(routing.layers().get(1).groups().stream().map(ExpertGroup::name))
        .containsExactly("pretrained");
  }

  private void assertRefused(Ran ran, Object... said) {
    assertThat(ran.code()).as(ran.out() + ran.err()).isEqualTo(2);
    assertThat(ran.err()).startsWith("moextend: ");
    for (Object part : said) {
      assertThat(ran.err()).contains(part.toString());
    }
    assertThat(folder.resolve("routing.html")).doesNotExist();
  }

  @Test
  void aModelWithoutExpertsIsRefusedByTheNameOfItsConfig() {
    Path dense = Golden.path("hf/hf_llama");
    assertRefused(
        run(dense, words(), "--tokenizer", TOKENIZER),
        dense.resolve("config.json"),
        "model_type=llama",
        "a dense model routes nothing");
  }

  @Test
  void routersThatTheConversionLeftOutAreNotMadeUp() {
    ObjectNode shape = Converted.config(Golden.path("hf/hf_phi3"));
    shape.put("vocab_size", 480).put("max_position_embeddings", 512);
    shape.remove("original_max_position_embeddings");
    Workspace.write(folder.resolve("phi3.json"), shape.toString());
    Path dense = random(folder.resolve("phi3.json"), folder.resolve("phi3"));
    Path moiie = Converted.by("moiie", dense, folder.resolve("converted")).folder();
    assertRefused(run(moiie, words()), moiie, "has no model.layers.1.mlp.gate");
  }

  @Test
  void whatIsThereIsNotOverwritten() {
    Workspace.write(output(), "edited by hand");
    assertRefused(run(model("moiie_phi3"), words()), output(), "exists already");
    assertThat(output()).hasContent("edited by hand");
  }

  @Test
  void wrongWordsOnTheCommandLineAreRefused() {
    Path model = model("moiie_phi3");
    assertRefused(run(model, words(), "--samples", 0), "samples=0");
    assertRefused(run(model, words(), "--batch", 0), "batch=0");
    assertRefused(run(model, words(), "--conv-mode", "zulu"), "zulu");
    assertRefused(run(model, samples()), "wide.png");
    assertRefused(run(folder.resolve("nothing"), words()), folder.resolve("nothing"));
    assertThat(output()).doesNotExist();
  }
}
