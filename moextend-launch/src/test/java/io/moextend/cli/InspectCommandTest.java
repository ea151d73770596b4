package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.moextend.Golden;
import io.moextend.checkpoint.CheckpointFolder;
import io.moextend.checkpoint.Fingerprint;
import io.moextend.checkpoint.WeightSource;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** inspect says of each kind of folder what it holds. */
class InspectCommandTest {
  @TempDir Path folder;

  private static JsonNode json(Path model, String... more) throws IOException {
    var args = new ArrayList<>(List.of("inspect", "--json", "--model", model.toString()));
    args.addAll(List.of(more));
    Workspace.Outcome outcome = Workspace.moextend(args.toArray(String[]::new));
    assertThat(outcome.err()).isEmpty();
    assertThat(outcome.code()).isZero();
    return new JsonMapper().readTree(outcome.out());
  }

  @Test
  void aWholeModelIsCountedByRole() throws IOException {
    Path model = Golden.path("moextend/moextend_ft_rand");
    JsonNode facts = json(model, "--fingerprint", "--tensors");
    assertThat(facts.get("kind").asText()).isEqualTo("whole model");
    JsonNode architecture = facts.get("architecture");
    assertThat(architecture.get("layers").asInt()).isEqualTo(3);
    assertThat(architecture.get("pretrained experts").asInt()).isEqualTo(8);
    assertThat(architecture.get("extended layers")).hasToString("[0,2]");
    assertThat(facts.get("vision").get("patches").asInt()).isEqualTo(36);
    JsonNode parameters = facts.get("parameters");
    // two layers' w1, w2 and w3 of 48 by 32, gate rows of 32, calibrations of 16 by 9 twice
    assertThat(parameters.get("new expert").get("elements").asInt()).isEqualTo(2 * 3 * 48 * 32);
    assertThat(parameters.get("new router").get("elements").asInt()).isEqualTo(2 * 32);
    assertThat(parameters.get("calibration").get("elements").asInt()).isEqualTo(2 * 2 * 16 * 9);
    assertThat(parameters.get("router").get("elements").asInt()).isEqualTo(3 * 8 * 32);
    assertThat(parameters.get("all").get("share").asDouble()).isEqualTo(1);
    assertThat(facts.get("types").size()).isEqualTo(1);
    assertThat(facts.get("types").get("F32")).isEqualTo(parameters.get("all").get("elements"));
    assertThat(facts.get("files").has("model.safetensors")).isTrue();
    assertThat(facts.get("tensors").get("model.layers.0.block_sparse_moe.experts.8.w1.weight"))
        .hasToString("{\"dtype\":\"F32\",\"shape\":[48,32],\"role\":\"new expert\"}");
    try (WeightSource source = CheckpointFolder.open(model)) {
      assertThat(facts.get("fingerprint").asText()).isEqualTo(Fingerprint.of(source).hex());
    }
  }

  @Test
  void aVisionTowerIsNoLanguageModel() throws IOException {
    JsonNode facts = json(Golden.path("moextend/clip_tiny"));
    assertThat(facts.get("kind").asText()).isEqualTo("vision tower");
    assertThat(facts.get("vision").get("tower layers").asInt()).isEqualTo(2);
    assertThat(facts.has("architecture")).isFalse();
  }

  @Test
  void aRunSaysHowFarItCameAndADeltaWhatItBelongsTo() throws IOException {
    Workspace work = new Workspace(folder).startFrom("vision_align").configured();
    assertThat(work.train("alignment").err()).isEmpty();
    JsonNode run = json(work.output());
    assertThat(run.get("kind").asText()).isEqualTo("run");
    assertThat(run.get("run").get("stage").asText()).isEqualTo("alignment");
    assertThat(run.get("run").get("finished").asBoolean()).isTrue();
    assertThat(run.get("run").get("saved step").asInt()).isEqualTo(2);
    assertThat(run.get("run").get("last metrics").get("step").asInt()).isEqualTo(2);
    assertThat(run.get("run").get("last metrics").get("loss").asDouble()).isPositive();
    assertThat(run.get("model kind").asText()).isEqualTo("whole model");
    assertThat(run.get("tokenizer").get("end id").asInt()).isEqualTo(2);

    Path delta = work.output().resolve("checkpoint-2");
    JsonNode alone = json(delta);
    assertThat(alone.get("kind").asText()).isEqualTo("delta");
    assertThat(alone.get("parameters").has("unknown without --base")).isTrue();
    JsonNode onBase = json(delta, "--base", work.base().toString());
    assertThat(onBase.get("parameters").get("projector"))
        .isEqualTo(onBase.get("parameters").get("all"));
    assertThat(onBase.get("base fingerprint").asText())
        .isEqualTo(json(work.base(), "--fingerprint").get("fingerprint").asText());
  }

  @Test
  void theTableHasEveryRoleAndItsShare() {
    Workspace.Outcome outcome =
        Workspace.moextend(
            "inspect", "--model", Golden.path("moextend/moextend_ft_rand").toString());
    assertThat(outcome.code()).isZero();
    assertThat(outcome.out())
        .containsPattern("kind +whole model")
        .containsPattern("extended layers +\\[0, 2\\]")
        .containsPattern("new router +tensors 2 +elements 64 +share 0\\.000\\d+");
  }

  @Test
  void aFolderOfSomethingElseIsNamed() {
    Workspace.Outcome outcome = Workspace.moextend("inspect", "--model", folder.toString());
    assertThat(outcome.code()).isEqualTo(2);
    assertThat(outcome.err()).startsWith("moextend: " + folder).contains("config.json");
  }
}
