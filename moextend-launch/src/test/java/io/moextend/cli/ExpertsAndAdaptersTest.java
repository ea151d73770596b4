package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.moextend.Golden;
import io.moextend.adapter.AdapterConfig;
import io.moextend.adapter.AdapterMethod;
import io.moextend.adapter.PeftFolder;
import io.moextend.adapter.StoredAdapter;
import io.moextend.checkpoint.CheckpointFolder;
import io.moextend.checkpoint.FrozenProof;
import io.moextend.checkpoint.SafetensorsFile;
import io.moextend.checkpoint.WeightSource;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.train.TrainConfig;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** New experts and LoRA of attentions in one run, and what a user does with both afterwards. */
@Timeout(120)
class ExpertsAndAdaptersTest {
  private static final String[] LORA = {
    "adapter.method=lora",
    "adapter.rank=2",
    "adapter.target_modules=[attention]",
    "training.max_steps=3"
  };

  @TempDir static Path shared;
  private static Workspace work;
  private static Path model;
  private static Path adapter;

  @TempDir Path folder;

  @BeforeAll
  static void train() {
    work = new Workspace(shared).startFrom("moextend_ft_rand").configured();
    Workspace.Outcome ran = work.train("finetune", LORA);
    assertThat(ran.code()).as(ran.err()).isZero();
    model = work.output().resolve("model");
    adapter = work.output().resolve("adapter");
  }

  @Test
  void bothAreSavedAndAllElseIsByteForByteAsItWas() throws Exception {
    Set<String> moved = new TreeSet<>();
    try (WeightSource before = CheckpointFolder.open(work.base());
        WeightSource after = CheckpointFolder.open(model)) {
      assertThat(after.names()).isEqualTo(before.names());
      FrozenProof proof = FrozenProof.read(work.output().resolve("frozen.json"));
      assertThat(proof.verify(after)).isEmpty();
      for (String name : before.names()) {
        if (before.tensor(name).bytes().mismatch(after.tensor(name).bytes()) >= 0) {
          moved.add(name);
        }
      }
      assertThat(proof.tensors().keySet()).doesNotContainAnyElementsOf(moved);
      assertThat(moved)
          .anyMatch(name -> name.contains(".block_sparse_moe.experts."))
          .anyMatch(name -> name.contains("gate_vision"))
          .noneMatch(name -> name.contains("self_attn"));
    }
    StoredAdapter stored = StoredAdapter.open(adapter, HuggingFaceConfig.read(model).model());
    try (WeightSource weights = stored.weights()) {
      assertThat(stored.config().method()).isEqualTo(AdapterMethod.LORA);
      assertThat(weights.names()).isNotEmpty().allMatch(name -> name.contains(".self_attn."));
    }
    ObjectNode peft = Bunny.tree(adapter.resolve(PeftFolder.CONFIG));
    assertThat(peft.get("base_model_name_or_path").asText())
        .as("the model with the new experts is what the adapter was trained on")
        .isEqualTo(model.toString());
  }

  private static String answer(Path of, Object... more) {
    Object[] words = {
      "generate", "--model", of, "--prompt", "What is this?", "--max-new-tokens", 24
    };
    Object[] all = Arrays.copyOf(words, words.length + more.length);
    System.arraycopy(more, 0, all, words.length, more.length);
    return Bunny.ran(all).out();
  }

  /** At random numbers: what three steps learn changes few words. */
  @Test
  void anAnswerWithTheAdapterIsThatOfTheMergedModel() {
    Path far =
        RandomAdapter.of(model, AdapterConfig.lora(2).at(List.of("attention")).scaledBy(64), 11)
            .writeForPeft(folder.resolve("far"));
    Path merged = folder.resolve("merged");
    Bunny.ran("merge", "--model", model, "--adapter", far, "--output", merged);
    String adapted = answer(model, "--adapter", far);
    assertThat(adapted).isEqualTo(answer(merged)).isNotEqualTo(answer(model));
    assertThat(answer(model, "--adapter", adapter)).isNotBlank();
  }

  @Test
  void aCheckpointIsAskedWithTheAdapterThatItHolds() {
    Path checkpoint = work.output().resolve("checkpoint-3");
    Object[] words = {"--base", work.base(), "--adapter", checkpoint.resolve("adapter")};
    assertThat(answer(checkpoint, words)).isEqualTo(answer(model, "--adapter", adapter));
    Ran alone =
        Ran.moextend(
            "generate", "--model", checkpoint, "--base", work.base(), "--prompt", "What is this?");
    assertThat(alone.code()).isEqualTo(2);
    assertThat(alone.err())
        .contains(checkpoint.toString(), "is an adapter's", "CHECKPOINT/adapter, as --adapter");
  }

  @Test
  void theMergedModelIsOneThatGoesOnTraining() {
    Path merged = folder.resolve("merged");
    Bunny.ran("merge", "--model", model, "--adapter", adapter, "--output", merged);
    assertThat(merged.resolve("tokenizer.json")).exists();
    Workspace.Outcome ran =
        work.train(
            "finetune",
            "model.base=" + merged,
            "training.max_steps=1",
            "checkpoints.output_dir=" + folder.resolve("again"));
    assertThat(ran.code()).as(ran.err()).isZero();
  }

  /**
   * What is frozen is left too; neither a checkpoint's adapters nor a folder's get among experts.
   */
  @ParameterizedTest
  @CsvSource({
    "adapter, training.freeze=[role:adapter]",
    "adapter, training.seed=7",
    "checkpoint-3, training.seed=7"
  })
  void aRunGoesOnFromBoth(String delta, String how) {
    Path output = folder.resolve("again");
    Path base = delta.equals("adapter") ? model : work.base();
    String[] settings = Arrays.copyOf(LORA, LORA.length + 4);
    settings[LORA.length] = "model.base=" + base;
    settings[LORA.length + 1] = "model.delta=" + work.output().resolve(delta);
    settings[LORA.length + 2] = "checkpoints.output_dir=" + output;
    settings[LORA.length + 3] = how;
    Workspace.Outcome ran = work.train("finetune", settings);
    assertThat(ran.code()).as(ran.err()).isZero();
    try (WeightSource before = CheckpointFolder.open(model);
        WeightSource after = CheckpointFolder.open(output.resolve("model"))) {
      assertThat(after.names()).isEqualTo(before.names());
    }
    try (WeightSource before = SafetensorsFile.open(adapter.resolve(PeftFolder.WEIGHTS));
        WeightSource after =
            SafetensorsFile.open(output.resolve("adapter").resolve(PeftFolder.WEIGHTS))) {
      assertThat(after.names()).isEqualTo(before.names());
      for (String name : before.names()) {
        boolean same = before.tensor(name).bytes().mismatch(after.tensor(name).bytes()) < 0;
        assertThat(same).as(name).isEqualTo(how.contains("freeze"));
      }
    }
  }

  @Test
  void twoRanksTrainAsOne() throws Exception {
    Path alone = ranks(1, 0);
    Path two = ranks(2, 3);
    ThreadedRuns.requireSame(alone, two, 1e-5, name -> true);
    try (WeightSource one = CheckpointFolder.open(alone.resolve("model"));
        WeightSource other = CheckpointFolder.open(two.resolve("model"))) {
      ThreadedRuns.requireSame(one, other, 1e-5, name -> true);
    }
    var shape = HuggingFaceConfig.read(model).model();
    try (WeightSource one = StoredAdapter.open(alone.resolve("adapter"), shape).weights();
        WeightSource other = StoredAdapter.open(two.resolve("adapter"), shape).weights()) {
      ThreadedRuns.requireSame(one, other, 1e-5, name -> true);
    }
  }

  private Path ranks(int world, int zero) throws Exception {
    Path output = folder.resolve("world-" + world);
    var settings = new ArrayList<>(List.of(LORA));
    settings.addAll(
        List.of(
            "training.per_device_train_batch_size=1",
            "training.gradient_accumulation_steps=" + 4 / world,
            "optimizer.learning_rate=1.0e-3",
            "optimizer.adam_epsilon=1.0e-6",
            "distributed.zero_stage=" + zero,
            "distributed.bucket_bytes=4096",
            "checkpoints.output_dir=" + output));
    ThreadedRuns.train("finetune", TrainConfig.read(work.config(), settings), world);
    return output;
  }

  @Test
  void anAdapterOfAnotherModelOrAFolderWithoutOneIsRefused() throws Exception {
    Path nothing = Files.createDirectories(folder.resolve("nothing"));
    refused(nothing, nothing.toString(), "adapter.json");
    refused(
        Golden.path("peft/lora_llama"),
        "peft/lora_llama",
        "[down_proj]",
        "this model's layers are");
    Ran alone = Ran.moextend("generate", "--model", adapter, "--prompt", "What?");
    assertThat(alone.code()).isEqualTo(2);
    assertThat(alone.err()).contains(adapter.toString(), "name the model", "--adapter");
  }

  private static void refused(Path adapter, String... words) {
    Ran ran = Ran.moextend("generate", "--model", model, "--prompt", "What?", "--adapter", adapter);
    assertThat(ran.code()).as(ran.err()).isEqualTo(2);
    assertThat(ran.err().strip().lines()).hasSize(1);
    assertThat(ran.err()).contains(words);
  }
}
