package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.Golden;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What a run with adapters cannot be asked for ends with one line before a step is made. */
class AdaptedDecoderRefusedTest {
  @TempDir static Path shared;
  private static AdaptedRuns runs;
  private static Path base;

  @TempDir Path folder;

  @BeforeAll
  static void makeModel() {
    runs = AdaptedRuns.in(shared);
    base = runs.base("mixtral");
  }

  private static Ran train(String stage, Path from, Path output, String... words) {
    var all = new ArrayList<>(List.of(runs.train(stage, from, output)));
    for (String word : words) {
      all.addAll(word.startsWith("--") ? List.of(word.split(" ")) : List.of("--set", word));
    }
    return Ran.moextend(all.toArray());
  }

  private static void refused(Ran ran, String... said) {
    assertThat(ran.code()).as(ran.err()).isEqualTo(2);
    assertThat(ran.err().strip().lines()).hasSize(1);
    assertThat(ran.err()).contains(said);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "adapter.method=lora adapter.target_modules=[q_prj] | adapter.target_modules=[q_prj]: this model's layers are [k_proj, o_proj, q_proj, v_proj]",
        "adapter.method=mov adapter.target_modules=[o_proj] | adapter.target_modules=o_proj: mov multiplies and can be had at [",
        "adapter.method=lora adapter.target_modules=[w1] | adapter.target_modules=[w1]: this model's layers are",
        "adapter.method=lora adapter.rank=0 | adapter.rank=0: must be at least 1",
        "adapter.method=molora adapter.experts=0 | adapter.experts=0: must be at least 1",
        "adapter.method=molora adapter.top_k=4 | adapter.top_k=4: there are 3 experts",
        "adapter.method=prefix | adapter.method=prefix: known are none, ia3, lora, mov, molora, full",
        "adapter.experts=2 | adapter.method=none: choose ia3, lora, mov or molora; --method does it too",
        "adapter.method=full | adapter.method=full: of a decoder that is --stage full",
        "--method=full | adapter.method=full: of a decoder that is --stage full",
        "adapter.method=lora training.freeze=[role:adapter] | leaves nothing to train",
      })
  void stageAdapt(String words, String said) {
    Path output = folder.resolve("out");
    refused(train("adapt", base, output, words.split(" (?!of)")), said);
    assertThat(output.resolve("metrics.jsonl")).doesNotExist();
    assertThat(output.resolve("model")).doesNotExist();
  }

  @Test
  void otherStages() {
    Path output = folder.resolve("out");
    refused(train("sft", base, output, "--method=lora"), "--method=lora: is for --stage adapt");
    refused(
        train("finetune", base, output, "adapter.method=lora"),
        "stage=finetune: the model has no added expert");
    Path t5 = Golden.path("hf/hf_t5");
    refused(
        train("finetune", t5, output, "adapter.method=lora"),
        "model.base=" + t5 + ": is an encoder-decoder",
        "--stage adapt");
    assertThat(output.resolve("metrics.jsonl")).doesNotExist();
  }

  @Test
  void aRunDoesNotGoOnWithOtherAdapters() {
    Path output = folder.resolve("out");
    Ran first = train("adapt", base, output, "--method=lora", "training.max_steps=1");
    assertThat(first.code()).as(first.err()).isZero();
    for (String other :
        List.of(
            "adapter.rank=4",
            "adapter.alpha=8",
            "adapter.method=molora",
            "adapter.target_modules=[attention]")) {
      String name = other.substring(0, other.indexOf('='));
      refused(
          train(
              "adapt",
              base,
              output,
              "adapter.method=lora",
              other,
              "checkpoints.resume_from_checkpoint=auto"),
          name + "=",
          ": was ",
          "set it back to go on with that run");
    }
  }

  @Test
  void aRunDoesNotGoOnWithAnotherNumberOfSamples() {
    AdaptedRuns own = AdaptedRuns.in(folder);
    Path output = folder.resolve("out");
    Object[] words =
        own.train(
            "adapt",
            base,
            output,
            "adapter.method=lora",
            "training.max_steps=1",
            "checkpoints.resume_from_checkpoint=auto");
    Bunny.ran(words);
    own.write(9);
    refused(
        Ran.moextend(words),
        "data.train_files samples=9: was 8 in " + output.resolve("checkpoint-1"),
        "set it back to go on with that run");
  }

  @Test
  void adaptersOfAnotherKindAreNotGoneOnFrom() {
    Path first = folder.resolve("first");
    Bunny.ran(
        runs.train(
            "adapt",
            base,
            first,
            "adapter.method=lora",
            "adapter.target_modules=[q_proj]",
            "training.max_steps=1"));
    Path adapter = first.resolve("model");
    String from = "model.delta=" + adapter;
    Path output = folder.resolve("out");
    String held = from + ": holds lora with 1 experts, rank 2, alpha 16.0; the run asks for ";
    refused(
        train("adapt", base, output, from, "adapter.method=lora", "adapter.rank=4"),
        held + "lora with 1, 4, 16.0");
    refused(train("full", base, output, from), held + "adapter.method=none");
    refused(
        train("adapt", base, output, from, "adapter.method=lora"),
        from + ": has nothing for model.layers.0.self_attn.k_proj.lora_A",
        "adapter.target_modules");
    refused(
        train(
            "adapt", base, output, from, "adapter.method=lora", "adapter.target_modules=[v_proj]"),
        "model.layers.0.self_attn.");
    assertThat(output.resolve("metrics.jsonl")).doesNotExist();
  }
}
