package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.BooleanNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.google.errorprone.annotations.CanIgnoreReturnValue;
import io.moextend.Golden;
import io.moextend.checkpoint.CheckpointFolder;
import io.moextend.checkpoint.DeltaCheckpoint;
import io.moextend.checkpoint.FrozenProof;
import io.moextend.checkpoint.WeightSource;
import io.moextend.train.TrainConfig;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ExecutionException;
import java.util.stream.Collectors;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * The stages of MoIIE on a tiny one, on one rank and on two. A micro-batch is one sample, and half
 * of them have no image: on a rank that has such a one the projector and the experts of vision
 * alone get no gradient. Grouped by modality that is so on all ranks, step by step.
 */
@Timeout(300)
class MoiieWorldsTest {
  private static final int STEPS = 6;
  private static final int GLOBAL_BATCH = 4;
  private static final double TOLERANCE = 1e-5;
  private static final String VISION_EXPERT = "model.layers.0.mlp.experts.0.";

  @TempDir static Path shared;

  private static Bunny bunny;
  private static Path dense;
  private static Path moiie;

  @TempDir Path folder;

  private int runs;

  @BeforeAll
  static void makeModels() throws IOException {
    bunny = Bunny.in(shared);
    Workspace.write(bunny.samples(), samples().toString());
    dense = bunny.text("phi3");
    moiie = shared.resolve("moiie");
    // the last layer's vision tokens are read by nobody, and so not computed
    Bunny.ran(
        "convert-moe",
        "--architecture",
        "moiie",
        "--layers",
        "0",
        "--model",
        dense,
        "--output",
        moiie);
  }

  /** Four with images and four without, of the golden conversations. */
  private static ArrayNode samples() throws IOException {
    var samples = Bunny.JSON.createArrayNode();
    var golden = Bunny.JSON.readTree(Golden.path("moiie/preprocessing/train.json").toFile());
    int[] seeing = {0, 1, 3, 0};
    for (int i = 0; i < 2 * seeing.length; i++) {
      ObjectNode one = golden.get(seeing[i % seeing.length]).deepCopy();
      one.put("id", String.valueOf(i));
      if (i >= seeing.length) {
        one.remove("image");
        for (JsonNode turn : one.get("conversations")) {
          ((ObjectNode) turn).put("value", turn.get("value").asText().replace("<image>", "so:"));
        }
      }
      samples.add(one);
    }
    return samples;
  }

  private TrainConfig config(Path base, int world, int zero, String... more) {
    Path output = folder.resolve("run-%d-world-%d-zero-%d".formatted(runs++, world, zero));
    bunny.train("sft", base, output);
    var settings =
        new ArrayList<>(
            List.of(
                "training.per_device_train_batch_size=1",
                "training.gradient_accumulation_steps=" + GLOBAL_BATCH / world,
                "training.max_steps=" + STEPS,
                "optimizer.learning_rate=1.0e-3",
                "optimizer.max_grad_norm=0",
                "optimizer.weight_decay=0.1",
                "distributed.zero_stage=" + zero,
                "distributed.bucket_bytes=4096",
                "model.vision_tower=" + Bunny.TOWER));
    settings.addAll(List.of(more));
    return TrainConfig.read(shared.resolve("run.yaml"), settings);
  }

  private Path run(String stage, Path base, int world, int zero, String... more) throws Exception {
    TrainConfig config = config(base, world, zero, more);
    ThreadedRuns.train(stage, config, world);
    return config.checkpoints().outputDir();
  }

  /** A bias of all keys changes nothing: its gradient is rounding that Adam makes large. */
  private static boolean meansSomething(String name) {
    return !name.endsWith(".k_proj.bias");
  }

  /** The folder that the two left. */
  @CanIgnoreReturnValue
  private Path twoRanksTrainAsOne(String stage, Path base, int zero, String... more)
      throws Exception {
    Path alone = run(stage, base, 1, 0, more);
    Path two = run(stage, base, 2, zero, more);
    ThreadedRuns.requireSame(alone, two, TOLERANCE, MoiieWorldsTest::meansSomething);
    return two;
  }

  @Test
  void theProjectorAlone() throws Exception {
    twoRanksTrainAsOne("pretrain", dense, 2);
    twoRanksTrainAsOne("pretrain", moiie, 3, "data.group_by_modality_length=true");
  }

  @ParameterizedTest
  @CsvSource({"2, false, auto", "3, false, auto", "3, true, auto", "3, true, replicated"})
  void allButTheTower(int zero, boolean grouped, String frozen) throws Exception {
    twoRanksTrainAsOne(
        "sft",
        moiie,
        zero,
        "data.group_by_modality_length=" + grouped,
        "distributed.frozen=" + frozen);
  }

  @Test
  void theTowerTooThroughSeveralScalesEachWithItsRate() throws Exception {
    Path output =
        twoRanksTrainAsOne(
            "sft",
            moiie,
            3,
            "model.s2_scales=[28, 56]",
            "training.train=[role:vision_tower]",
            "optimizer.mm_projector_lr=2.0e-4",
            "optimizer.mm_vision_tower_lr=1.0e-4");
    assertThat(moved(output))
        .contains("model.vision_tower.vision_tower.vision_model.embeddings.patch_embedding.weight");
    assertThat(Bunny.tree(output.resolve("model/config.json")).get("unfreeze_vision_tower"))
        .isEqualTo(BooleanNode.TRUE);
  }

  /** Gates that the published converter leaves to be drawn, which this stage does not train. */
  @Test
  void whatStartsFreshAndDoesNotTrainIsWrittenToo() throws Exception {
    String gate = "model.layers.0.mlp.gate_vis.weight";
    Path output = twoRanksTrainAsOne("pretrain", moiie, 3);
    try (WeightSource base = CheckpointFolder.open(moiie);
        WeightSource model = CheckpointFolder.open(output.resolve("model"));
        WeightSource checkpoint = DeltaCheckpoint.open(output.resolve("checkpoint-" + STEPS))) {
      assertThat(base.names()).doesNotContain(gate);
      assertThat(model.names()).contains(gate);
      assertThat(checkpoint.names()).contains(gate);
      assertThat(checkpoint.tensor(gate).floats()).isEqualTo(model.tensor(gate).floats());
    }
  }

  @ParameterizedTest
  @CsvSource({"sharded", "replicated"})
  void rulesThatTakeAPartOfARole(String frozen) throws Exception {
    twoRanksTrainAsOne(
        "sft",
        moiie,
        3,
        "training.freeze=['name:experts\\.[12]\\.', 'name:self_attn\\.qkv', role:projector]",
        "training.train=['name:vision_model\\.encoder\\.layers\\.1\\.']",
        "distributed.frozen=" + frozen);
  }

  private Set<String> moved(Path output) {
    try (WeightSource before = CheckpointFolder.open(moiie);
        WeightSource tower = CheckpointFolder.open(Bunny.TOWER);
        WeightSource after = CheckpointFolder.open(output.resolve("model"))) {
      var moved = new TreeSet<String>();
      for (String name : after.names()) {
        String own = name.replace("model.vision_tower.vision_tower.", "");
        WeightSource then = own.equals(name) ? before : tower;
        if (!then.names().contains(own)
            || then.tensor(own).bytes().mismatch(after.tensor(name).bytes()) >= 0) {
          moved.add(name);
        }
      }
      assertThat(FrozenProof.read(output.resolve("frozen.json")).verify(after)).isEmpty();
      return moved;
    }
  }

  @Test
  void moeEnableMovesTheNetworksOfAllLayersAndTheRouters() throws Exception {
    Path output =
        run(
            "sft",
            moiie,
            1,
            0,
            "training.freeze=[role:backbone, role:projector]",
            "optimizer.weight_decay=0");
    Set<String> moved = moved(output);
    assertThat(moved).contains("model.mm_projector.0.weight"); // fresh, and not in the base
    moved.removeIf(name -> name.contains("mm_projector"));
    assertThat(moved)
        .allMatch(name -> name.contains(".mlp."))
        .contains(
            "model.layers.1.mlp.down_proj.weight",
            VISION_EXPERT + "down_proj.weight",
            "model.layers.0.mlp.gate.weight",
            "model.layers.0.mlp.gate_vis.weight");
  }

  @Test
  void aRunAtStageThreeGoesOnToTheSameBytesAndNotWithOtherRules() throws Exception {
    String[] settings = {
      "training.train=['name:vision_tower.*layer_norm']",
      "optimizer.mm_projector_lr=2.0e-4",
      "checkpoints.save_steps=2"
    };
    Path whole = run("sft", moiie, 2, 3, settings);
    String from = "checkpoints.resume_from_checkpoint=" + whole.resolve("checkpoint-2");
    Path again = run("sft", moiie, 2, 3, more(settings, from));
    assertThat(again.resolve("model/model.safetensors"))
        .hasSameBinaryContentAs(whole.resolve("model/model.safetensors"));
    for (String other :
        List.of(
            "training.train=[]",
            "training.freeze=[role:router]",
            "optimizer.mm_projector_lr=1.0e-4",
            "optimizer.mm_projector_lr=null")) {
      assertThatThrownBy(() -> run("sft", moiie, 2, 3, more(settings, from, other)))
          .isInstanceOf(ExecutionException.class)
          .cause()
          .hasMessageContaining(": " + other.substring(0, other.indexOf('=')) + "=")
          .hasMessageContaining("set it back to go on with that run");
    }
  }

  private static String[] more(String[] settings, String... others) {
    var all = new ArrayList<>(List.of(settings));
    all.addAll(List.of(others));
    return all.toArray(String[]::new);
  }

  @Test
  void whatCannotBeIsRefusedBeforeTheFirstStep() {
    List<String> wrong =
        List.of(
            "training.train=[role:vision_tower] data.feature_cache=" + folder,
            "optimizer.mm_vision_tower_lr=1.0e-5",
            "training.freeze=[role:calibration]",
            "training.train=[name:visual]");
    List<String> said =
        wrong.stream()
            .map(
                settings ->
                    Ran.moextend(bunny.train("sft", moiie, folder.resolve("out"), words(settings))))
            .map(ran -> ran.code() + " " + ran.err().strip())
            .collect(Collectors.toList());
    assertThat(said).allMatch(line -> line.startsWith("2 "));
    assertThat(said.get(0)).contains("data.feature_cache=", "the vision tower trains");
    assertThat(said.get(1)).contains("optimizer.mm_vision_tower_lr=1.0E-5: the vision tower does");
    assertThat(said.get(2)).contains("training.freeze=role:calibration: matches no tensor");
    assertThat(said.get(3)).contains("training.train=name:visual: matches no tensor");
  }

  private static String[] words(String settings) {
    return more(settings.split(" "), "model.vision_tower=" + Bunny.TOWER);
  }
}
