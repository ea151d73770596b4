package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.moextend.Golden;
import io.moextend.array.DType;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider;
import io.moextend.backend.Backends;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.config.T5Config;
import io.moextend.data.prompted.Mixture;
import io.moextend.data.prompted.TaskList;
import io.moextend.demo.PromptedWorld;
import io.moextend.eval.RankFile;
import io.moextend.train.RandomModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A random T5 on the examination of the demo's world: chance, but whole. */
class EvaluateCommandTest {
  private static final int QUESTIONS = 12;

  @TempDir static Path shared;
  @TempDir Path folder;

  static PromptedWorld world;
  static Path model;

  @BeforeAll
  static void makeModelAndTasks() {
    world =
        PromptedWorld.write(shared.resolve("world"), 5, new PromptedWorld.Sizes(4, 4, QUESTIONS));
    model = shared.resolve("model");
    T5Config tiny = T5Config.v11(PromptedWorld.vocabularySize(), 16, 4, 4, 32, 1, 1);
    try (Backend backend = Backends.open("cpu", new BackendProvider.Options(2, 0), DType.F32)) {
      RandomModel.write(
          backend, HuggingFaceConfig.of(tiny), DType.F32, 7, List.of(world.tokenizer()), model);
    }
  }

  private static Ran evaluate(Object... more) {
    var words = new ArrayList<Object>(List.of("evaluate", "--task", "rank-classification"));
    words.addAll(Arrays.asList(more));
    return Ran.moextend(words.toArray());
  }

  private static void refused(Ran ran, String... words) {
    assertThat(ran.code()).as(ran.err()).isEqualTo(2);
    assertThat(ran.err().strip().lines()).hasSize(1);
    assertThat(ran.err()).contains(words);
  }

  @Test
  void eachTaskEachDatasetAndTheAverageAreShownAndWritten() {
    Path output = folder.resolve("found/rank.json");
    Ran ran = evaluate("--model", model, "--tasks", world.examination(), "--output", output);
    assertThat(ran.code()).as(ran.err()).isZero();
    RankFile file = RankFile.read(output);
    int tasks = TaskList.read(world.examination(), null).tasks().size();
    assertThat(file.tasks()).hasSize(tasks);
    assertThat(file.source().adapter()).isEmpty();
    for (RankFile.Task task : file.tasks()) {
      assertThat(task.examples()).isEqualTo(QUESTIONS);
      assertThat(task.withoutAnswer()).isZero();
      assertThat(task.metrics()).containsKey("accuracy").hasSizeGreaterThan(1);
      assertThat(ran.out())
          .containsPattern("(?m)^" + task.name() + " +" + QUESTIONS + " +[0-9.]+  ");
    }
    assertThat(file.datasets().keySet()).containsExactly("topic", "mood", "who");
    double mean = file.datasets().values().stream().mapToDouble(d -> d).average().orElseThrow();
    assertThat(file.averageMedian()).isCloseTo(mean, within(1e-9));
    assertThat(ran.out()).contains("average median: %.2f".formatted(mean), "written: " + output);
    refused(
        evaluate("--model", model, "--tasks", world.examination(), "--output", output),
        "--output",
        "exists already");
  }

  @Test
  void theFirstExamplesOfEachTaskAreEnoughIfAskedFor() {
    Ran ran =
        evaluate(
            "--model",
            model,
            "--tasks",
            world.examination(),
            "--limit",
            2,
            "--batch-size",
            3,
            "--dtype",
            "bf16");
    assertThat(ran.code()).as(ran.err()).isZero();
    assertThat(ran.out()).containsPattern("(?m)^topic-new-0 +2 +[0-9.]+  ");
  }

  @Test
  void whatCannotBeEvaluatedIsNamed() throws IOException {
    Object[] rest = {"--model", model, "--tasks", world.examination()};
    Ran other = Ran.moextend("evaluate", "--task", "vqa", "--model", model, "--tasks", model);
    refused(other, "--task", "vqa", "known is rank-classification");
    refused(
        evaluate("--model", model, "--tasks", world.examination(), "--adapter", folder),
        folder.toString(),
        "adapter.json",
        "adapter_config.json");
    refused(
        evaluate("--model", Golden.path("mov/t5_base"), "--tasks", world.examination()),
        "t5_base",
        "tokenizer.json",
        "--tokenizer");
    refused(
        evaluate("--model", Golden.path("hf/hf_llama"), "--tasks", world.examination()),
        "hf_llama",
        "config.json",
        "a T5 is wanted");
    refused(
        evaluate("--model", model, "--tasks", world.pretraining()),
        "task texts",
        "no answer choices");
    Path missing =
        Files.writeString(folder.resolve("l.yaml"), "tasks:\n- {name: x, files: [x.jsonl]}\n");
    refused(evaluate("--model", model, "--tasks", missing), "l.yaml", "task x", "x.jsonl");
    refused(evaluate(with(rest, "--batch-size", 0)), "batch", "must be at least 1");
    refused(
        evaluate(
            with(
                new Object[] {"--tasks", world.examination()},
                "--model",
                Golden.path("hf/hf_t5"),
                "--tokenizer",
                Golden.path("prompted/tokenizer"))),
        "tokenizer.json",
        "vocab_size is 96");
  }

  @Test
  void theWorldsOtherListsCanBeDrawnFrom() {
    for (Path list : List.of(world.pretraining(), world.adaptation())) {
      TaskList tasks = TaskList.read(list, null);
      try (Mixture mixture = Mixture.open(tasks, folder)) {
        assertThat(mixture.parts()).hasSameSizeAs(tasks.tasks());
        for (Mixture.Part part : mixture.parts()) {
          assertThat(part.rate()).isPositive();
          assertThat(part.examples().size()).isEqualTo(4);
          assertThat(part.examples().read(3).targets().text()).isNotBlank();
        }
      }
    }
  }

  private static Object[] with(Object[] words, Object... more) {
    var all = new ArrayList<>(Arrays.asList(words));
    all.addAll(Arrays.asList(more));
    return all.toArray();
  }
}
