package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.moextend.Golden;
import io.moextend.GoldenModels;
import io.moextend.checkpoint.AtomicFolder;
import io.moextend.checkpoint.CheckpointFolder;
import io.moextend.checkpoint.DeltaCheckpoint;
import io.moextend.checkpoint.Fingerprint;
import io.moextend.checkpoint.SafetensorsFile;
import io.moextend.checkpoint.SafetensorsWriter;
import io.moextend.checkpoint.TensorStream;
import io.moextend.checkpoint.WeightSource;
import io.moextend.stage.CountingMode;
import io.moextend.stage.ExtensionPlan;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ExpertDistributionCommandTest {
  private static final JsonMapper JSON = JsonMapper.builder().build();
  private static final Path BEFORE = GoldenModels.beforeExtension();
  private static final Path DATA = Golden.path("moextend/data/train.json");
  private static final Path TOKENIZER = Golden.path("moextend/tokenizer_tiny");

  @TempDir Path folder;

  private Path after() throws IOException {
    return GoldenModels.afterExtension(folder.resolve("after"));
  }

  private Path plan() {
    return folder.resolve("extension.json");
  }

  private Ran run(Path before, Path after, Path data, Object... more) {
    var args =
        new ArrayList<Object>(
            List.of("expert-distribution", "--before", before, "--after", after, "--data", data));
    args.addAll(List.of("--output", plan(), "--tokenizer", TOKENIZER));
    args.addAll(List.of(more));
    return Ran.moextend(args.toArray());
  }

  private static void assertPlan(ExtensionPlan plan, JsonNode golden, JsonNode scores) {
    assertThat(plan.addLayer())
        .isEqualTo(JSON.convertValue(golden.get("selected_layers"), List.class));
    assertThat(plan.extended().stream().map(ExtensionPlan.Extended::donor).toList())
        .isEqualTo(JSON.convertValue(golden.get("expert_idxmax"), List.class));
    assertThat(plan.ranking()).hasSize(3);
    for (ExtensionPlan.Ranked layer : plan.ranking()) {
      String name = String.valueOf(layer.layer());
      assertThat(layer.score()).isEqualTo(scores.get(name).asDouble(), within(1e-12));
      JsonNode shares = golden.get("after").get(name);
      assertThat(layer.donorShare())
          .isEqualTo(shares.get(String.valueOf(layer.donor())).asDouble(), within(1e-12));
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"cpu", "nd4j"})
  void thePublishedCountGivesThePublishedLayerAndDonor(String backend) throws IOException {
    Ran ran = run(BEFORE, after(), DATA, "--as-published", "--backend", backend);
    assertThat(ran.code()).as(ran.err()).isZero();
    JsonNode golden =
        JSON.readTree(Golden.path("moextend/expert_distribution/expected.json").toFile());
    ExtensionPlan plan = ExtensionPlan.read(plan());
    assertThat(plan.mode()).isEqualTo(CountingMode.AS_PUBLISHED);
    assertPlan(plan, golden, golden.get("std_of_difference(ddof=1)"));
    assertThat(ran.out()).contains("MODE: AS-PUBLISHED", "LEAST likely");
    assertThat(folder.resolve("extension.html"))
        .content()
        .contains("<strong>MODE: AS-PUBLISHED</strong>", "<dd>1 of 3</dd>");
  }

  @ParameterizedTest
  @CsvSource({"cpu, 1", "cpu, 8", "nd4j, 3"})
  void thePapersCountGivesAnotherLayerAndDonor(String backend, int batch) throws IOException {
    Path report = folder.resolve("moved.html");
    Ran ran =
        run(BEFORE, after(), DATA, "--backend", backend, "--batch", batch, "--report", report);
    assertThat(ran.code()).as(ran.err()).isZero();
    JsonNode golden =
        JSON.readTree(Golden.path("moextend/expert_distribution/expected.json").toFile())
            .get("intended_argsort_descending");
    ExtensionPlan plan = ExtensionPlan.read(plan());
    assertThat(plan.mode()).isEqualTo(CountingMode.PAPER);
    assertPlan(plan, golden, golden.get("std"));
    assertThat(ran.out())
        .doesNotContain("AS-PUBLISHED")
        .contains("before: 4/4 samples", "after: 4/4 samples", " tokens/s", " left")
        .containsPattern("1 +2 +0\\.011620 +2 +24\\.68%  extended\\R-+ cut\\R");
    assertThat(report).content().contains("<dd>paper</dd>");
    assertThat(folder.resolve("extension.html")).doesNotExist();
  }

  @Test
  void thePlanSaysWhatWasCounted() throws IOException {
    Path after = after();
    assertThat(run(BEFORE, after, DATA).code()).isZero();
    ExtensionPlan.Source source = ExtensionPlan.read(plan()).source();
    assertThat(source.before()).isEqualTo(fingerprint(BEFORE).hex());
    assertThat(source.after()).isEqualTo(fingerprint(after).hex());
    assertThat(source.data()).isEqualTo("train.json");
    assertThat(source.samples()).isEqualTo(4);
    assertThat(source.tokens()).isEqualTo(156);
  }

  @Test
  void samplesAndLayersAreTakenAtTheirWord() throws IOException {
    Ran ran = run(BEFORE, after(), DATA, "--samples", 3, "--layers", 2);
    assertThat(ran.code()).as(ran.err()).isZero();
    ExtensionPlan plan = ExtensionPlan.read(plan());
    assertThat(plan.source().samples()).isEqualTo(3);
    assertThat(plan.extended()).hasSize(2);
    assertThat(run(BEFORE, folder.resolve("after"), DATA, "--layers", 4))
        .returns(2, Ran::code)
        .extracting(Ran::err)
        .asString()
        .contains("--output"); // the first plan is in the way
    Files.delete(plan());
    Files.delete(folder.resolve("extension.html"));
    assertThat(run(BEFORE, folder.resolve("after"), DATA, "--layers", 4))
        .returns(2, Ran::code)
        .extracting(Ran::err)
        .asString()
        .contains("--layers=4: choose 1 to 3");
  }

  @Test
  void theTokenizerIsFoundInTheModelsFolder() throws IOException {
    Path after = after();
    for (String name : List.of("tokenizer.json", "tokenizer_config.json")) {
      Files.copy(TOKENIZER.resolve(name), after.resolve(name));
    }
    Ran ran =
        Ran.moextend(
            "expert-distribution",
            "--before",
            BEFORE,
            "--after",
            after,
            "--data",
            DATA,
            "--output",
            plan());
    assertThat(ran.code()).as(ran.err()).isZero();
    assertThat(ExtensionPlan.read(plan()).addLayer()).containsExactly(2);
  }

  @Test
  void aDeltaOnItsBaseCountsAsTheWholeModel() throws IOException {
    Path delta = delta();
    Ran ran = run(BEFORE, delta, DATA, "--base", BEFORE);
    assertThat(ran.code()).as(ran.err()).isZero();
    ExtensionPlan ofDelta = ExtensionPlan.read(plan());
    Files.delete(plan());
    Files.delete(folder.resolve("extension.html"));
    assertThat(run(BEFORE, after(), DATA).code()).isZero();
    assertThat(ofDelta).isEqualTo(ExtensionPlan.read(plan()));
  }

  private Path delta() {
    Path delta = folder.resolve("delta");
    try (WeightSource gates =
        SafetensorsFile.open(Golden.path("moextend/moextend_init/source_gate.safetensors"))) {
      AtomicFolder.write(
          delta,
          inside -> DeltaCheckpoint.write(inside, fingerprint(BEFORE), TensorStream.all(gates)));
    }
    return delta;
  }

  private static Fingerprint fingerprint(Path model) {
    try (WeightSource source = CheckpointFolder.open(model)) {
      return Fingerprint.of(source);
    }
  }

  private void assertRefused(Ran ran, Object... said) {
    assertThat(ran.code()).as(ran.out() + ran.err()).isEqualTo(2);
    assertThat(ran.err()).startsWith("moextend: ");
    for (Object part : said) {
      assertThat(ran.err()).contains(part.toString());
    }
    assertThat(plan()).doesNotExist();
    assertThat(folder.resolve("extension.html")).doesNotExist();
  }

  @Test
  void aDeltaWithoutItsBaseIsRefused() {
    Path delta = delta();
    assertRefused(run(BEFORE, delta, DATA), delta, "is a delta of base", "--base DIR");
  }

  @Test
  void aBaseThatNobodyNeedsIsRefused() throws IOException {
    Path after = after();
    assertRefused(run(BEFORE, after, DATA, "--base", BEFORE), after, "leave out --base");
    assertRefused(run(BEFORE, after, DATA, "--after-base", BEFORE), after, "leave out --base");
  }

  @Test
  void modelsOfDifferentShapesAreRefused() throws IOException {
    Path after = after();
    Path config = after.resolve("config.json");
    var json = (ObjectNode) JSON.readTree(config.toFile());
    json.put("num_local_experts", 7);
    JSON.writeValue(config.toFile(), json);
    assertRefused(run(BEFORE, after, DATA), BEFORE, after, "num_local_experts=7", "8");
  }

  @Test
  void weightsThatAreNotOfTheConfigsShapeAreRefused() throws IOException {
    Path after = after();
    Path before = folder.resolve("before");
    Files.createDirectories(before);
    Files.copy(BEFORE.resolve("model.safetensors"), before.resolve("model.safetensors"));
    for (Path model : List.of(before, after)) {
      var json = (ObjectNode) JSON.readTree(BEFORE.resolve("config.json").toFile());
      json.put("intermediate_size", 47);
      JSON.writeValue(model.resolve("config.json").toFile(), json);
    }
    assertRefused(run(before, after, DATA), before.resolve("model.safetensors"), "47");
  }

  @Test
  void anExtendedModelIsRefused() throws IOException {
    Path extended = Golden.path("moextend/moextend_ft");
    assertRefused(
        run(BEFORE, extended, DATA), extended.resolve("config.json"), "add_layer", "already");
    assertRefused(run(extended, after(), DATA), extended.resolve("config.json"), "already");
  }

  @Test
  void aModelWithoutAProjectorIsRefused() throws IOException {
    Path after = after();
    Path bare = folder.resolve("bare");
    Files.createDirectories(bare);
    Files.copy(BEFORE.resolve("config.json"), bare.resolve("config.json"));
    try (WeightSource whole = CheckpointFolder.open(BEFORE)) {
      SafetensorsWriter.writeFile(
          bare.resolve("model.safetensors"),
          TensorStream.all(whole).stream().filter(t -> !t.name().contains("projector")).toList());
    }
    assertRefused(run(bare, after, DATA), bare, "mm_projector");
  }

  @Test
  void dataThatHoldsNoSampleIsRefused() throws IOException {
    Path data = Files.writeString(folder.resolve("empty.json"), "[]");
    assertRefused(run(BEFORE, after(), data), data, "no samples");
    Path nothing = folder.resolve("nothing.json");
    assertRefused(run(BEFORE, folder.resolve("after"), nothing), nothing);
  }

  @Test
  void aMissingImageIsNamedWithItsSample() throws IOException {
    Path data = Files.copy(DATA, folder.resolve("moved.json"));
    Path after = after();
    assertRefused(run(BEFORE, after, data), data + ": sample 1", "i0.png is missing");
    Ran ran = run(BEFORE, after, data, "--image-root", Golden.path("moextend/data"));
    assertThat(ran.code()).as(ran.err()).isZero();
  }

  @Test
  void aBrokenImageIsNamedWithItsSample() throws IOException {
    Path data = Files.copy(DATA, folder.resolve("train.json"));
    for (String name : List.of("i0.png", "i1.png")) {
      Files.copy(Golden.path("moextend/data").resolve(name), folder.resolve(name));
    }
    Files.writeString(folder.resolve("i2.png"), "no picture");
    assertRefused(run(BEFORE, after(), data), data + ": sample 4", "i2.png");
  }

  @Test
  void aModelWithoutATokenizerIsRefused() throws IOException {
    Path after = after();
    assertRefused(
        Ran.moextend(
            "expert-distribution",
            "--before",
            BEFORE,
            "--after",
            after,
            "--data",
            DATA,
            "--output",
            plan()),
        after,
        "tokenizer.json",
        "--tokenizer");
  }

  @Test
  void aPreprocessorOfAnotherTowerIsRefused() throws IOException {
    Path after = after();
    Path file = after.resolve("preprocessor_config.json");
    Files.writeString(file, Files.readString(file).replace("24", "20"));
    assertRefused(run(BEFORE, after, DATA), file, "24 pixels");
  }

  @Test
  void wrongWordsOnTheCommandLineAreRefused() throws IOException {
    Path after = after();
    assertRefused(run(BEFORE, after, DATA, "--as-publishd"), "--as-publishd");
    assertRefused(run(BEFORE, after, DATA, "--samples", 0), "samples=0");
    assertRefused(run(BEFORE, after, DATA, "--batch", 0), "batch=0");
    assertRefused(run(BEFORE, after, DATA, "--backend", "abacus"), "abacus");
    assertRefused(
        Ran.moextend("expert-distribution", "--before", BEFORE, "--data", DATA, "--output", plan()),
        "--after");
  }

  @Test
  void aPlanThatIsThereIsNotOverwritten() throws IOException {
    Files.writeString(plan(), "edited by hand");
    Ran ran = run(BEFORE, after(), DATA);
    assertThat(ran.code()).isEqualTo(2);
    assertThat(ran.err()).contains(plan().toString(), "exists already");
    assertThat(plan()).hasContent("edited by hand");
  }
}
