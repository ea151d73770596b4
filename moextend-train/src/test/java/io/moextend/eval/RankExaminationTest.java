package io.moextend.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.moextend.Golden;
import io.moextend.adapter.AdapterConfig;
import io.moextend.adapter.AdapterFolder;
import io.moextend.adapter.PeftFolder;
import io.moextend.adapter.StoredAdapter;
import io.moextend.array.DType;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider;
import io.moextend.backend.Backends;
import io.moextend.checkpoint.CheckpointException;
import io.moextend.checkpoint.SafetensorsFile;
import io.moextend.checkpoint.TensorData;
import io.moextend.checkpoint.WeightSource;
import io.moextend.config.ConfigException;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.config.T5Config;
import io.moextend.data.DataException;
import io.moextend.data.prompted.RankedExample;
import io.moextend.data.prompted.TaskList;
import io.moextend.eval.RankExamination.Settings;
import io.moextend.text.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The original's scores and predictions, from files of ids to the metrics. */
class RankExaminationTest {
  private static final JsonMapper JSON = new JsonMapper();
  private static final RankExamination.Listener QUIET = (task, tasks, name, choices) -> {};

  @TempDir Path folder;

  /** The rows of a case's "score" batch as a file of ids, a row for each choice. */
  private void writeTask(String name) throws IOException {
    try (var inputs = SafetensorsFile.open(Golden.path("mov/" + name + "/inputs.safetensors"))) {
      int[] correct = ints(inputs, "score.is_correct");
      int[] ids = ints(inputs, "score.input_ids");
      int[] targets = ints(inputs, "score.labels");
      var lines = new ArrayList<String>();
      for (int row = 0; row < correct.length; row++) {
        lines.add(
            JSON.writeValueAsString(
                Map.of(
                    "inputs", row(ids, row, correct.length),
                    "targets", row(targets, row, correct.length),
                    "idx", List.of(row / 3, row % 3),
                    "is_correct", correct[row] != 0)));
      }
      Files.write(folder.resolve("score.jsonl"), lines);
    }
  }

  private static int[] ints(SafetensorsFile file, String name) {
    return Arrays.stream(file.tensor(name).longs()).mapToInt(Math::toIntExact).toArray();
  }

  /** Without its padding. */
  private static int[] row(int[] all, int row, int rows) {
    int length = all.length / rows;
    return Arrays.stream(all, row * length, (row + 1) * length).filter(id -> id != 0).toArray();
  }

  private TaskList list(String tasks) throws IOException {
    Path file = Files.writeString(folder.resolve("list.yaml"), "tasks:\n" + tasks);
    return TaskList.read(file, null);
  }

  private RankExamination.Result run(
      Path model, @Nullable Path adapter, TaskList list, Settings settings) {
    return run(model, adapter, Golden.path("prompted/tokenizer"), list, settings);
  }

  private RankExamination.Result run(
      Path model, @Nullable Path adapter, Path words, TaskList list, Settings settings) {
    try (Backend backend = Backends.open("cpu", new BackendProvider.Options(2, 0), DType.F32);
        AdaptedT5 opened = AdaptedT5.open(model, adapter, backend, DType.F32);
        Tokenizer tokenizer = Tokenizer.open(words)) {
      return new RankExamination(backend, opened.model(), tokenizer, settings)
          .run(list, folder, QUIET);
    }
  }

  private static Settings atOnce(int rows) {
    return new Settings(rows, 64, 64, null);
  }

  /** Of fewer tokens than the smallest model here has. */
  private Path fewWords() throws IOException {
    Path words = Files.createDirectories(folder.resolve("words"));
    Files.writeString(
        words.resolve("tokenizer.json"),
        """
        {"version": "1.0", "truncation": null, "padding": null, "added_tokens": [
          {"id": 0, "content": "<pad>", "special": true, "single_word": false, "lstrip": false,
           "rstrip": false, "normalized": false},
          {"id": 1, "content": "</s>", "special": true, "single_word": false, "lstrip": false,
           "rstrip": false, "normalized": false}],
         "normalizer": null, "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": null,
         "decoder": null, "model": {"type": "WordLevel", "unk_token": "<unk>",
          "vocab": {"<pad>": 0, "</s>": 1, "<unk>": 2, "yes": 3}}}
        """);
    Files.writeString(
        words.resolve("tokenizer_config.json"),
        """
        {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "<pad>", "eos_token": "</s>",
         "unk_token": "<unk>"}
        """);
    return words;
  }

  /** A case's adapter as a folder: LoRA as PEFT's, mixtures as ours. */
  private @Nullable Path adapter(String name) throws IOException {
    JsonNode json =
        JSON.readTree(Golden.path("mov/" + name + "/config.json").toFile()).path("adapter");
    if (name.equals("t5_base")) {
      return null;
    }
    Path trained = folder.resolve("trained");
    int rank = json.path("rank").asInt();
    try (WeightSource source = AdapterFolder.open(Golden.path("mov/" + name))) {
      List<TensorData> tensors = source.names().stream().map(source::tensor).toList();
      if (name.equals("lora")) {
        PeftFolder.write(trained, AdapterConfig.lora(rank), "base", tensors);
      } else {
        int experts = json.path("experts").asInt();
        AdapterFolder.write(trained, AdapterConfig.molora(experts, rank), tensors);
      }
    }
    return trained;
  }

  @ParameterizedTest
  @CsvSource({"t5_base,32", "lora,4", "molora,2"})
  void scoresPredictionsAndMetricsAreTheOriginals(String name, int batchSize) throws IOException {
    writeTask(name);
    JsonNode want = JSON.readTree(Golden.path("mov/" + name + "/meta.json").toFile()).get("score");
    TaskList list = list("- {name: score, classes: 3, files: [score.jsonl]}\n");
    RankExamination.Result result =
        run(Golden.path("mov/" + name), adapter(name), list, atOnce(batchSize));
    List<RankedExample> examples = result.tasks().getFirst().examples();
    assertThat(examples).hasSize(3);
    for (int i = 0; i < 3; i++) {
      for (int choice = 0; choice < 3; choice++) {
        double score = want.get("scores").get(i).get(choice).doubleValue();
        assertThat(examples.get(i).scores()[choice]).isCloseTo(score, within(5e-5));
      }
      assertThat(examples.get(i).prediction()).isEqualTo(want.get("predictions").get(i).intValue());
    }
    JsonNode metrics = want.get("metrics_num_classes_3");
    result
        .tasks()
        .getFirst()
        .metrics()
        .values()
        .forEach(
            (metric, value) ->
                assertThat(value).isCloseTo(metrics.get(metric).doubleValue(), within(1e-9)));
    assertThat(result.averages().average())
        .isCloseTo(metrics.get("accuracy").doubleValue(), within(1e-9));
  }

  /** Rows of the same input next to each other are encoded once, others are not mixed up. */
  @Test
  void whatIsScoredTogetherChangesNoScore() throws IOException {
    var lines = new ArrayList<String>();
    for (int i = 0; i < 7; i++) {
      int[] inputs = IntStream.rangeClosed(2, 4 + 5 * i % 11).toArray();
      var choices = new ArrayList<String>();
      for (int choice = 0; choice <= 1 + i % 3; choice++) {
        choices.add("yes ".repeat(choice + 1).strip());
      }
      lines.add(
          JSON.writeValueAsString(
              Map.of("inputs", inputs, "targets", "yes yes", "answer_choices", choices)));
    }
    Files.write(folder.resolve("some.jsonl"), lines);
    TaskList list = list("- {name: some, files: [some.jsonl]}\n");
    Path model = Golden.path("hf/hf_t5");
    Path words = fewWords();
    Path adapter = Golden.path("peft/ia3_t5");
    List<RankedExample> alone =
        run(model, adapter, words, list, atOnce(1)).tasks().getFirst().examples();
    for (int rows : new int[] {3, 64}) {
      RankExamination.Result together = run(model, adapter, words, list, atOnce(rows));
      List<RankedExample> examples = together.tasks().getFirst().examples();
      assertThat(examples).hasSize(7);
      for (int i = 0; i < 7; i++) {
        assertThat(examples.get(i).scores()).containsExactly(alone.get(i).scores(), within(1e-4));
      }
    }
    // the adapter does something
    assertThat(
            run(model, null, words, list, atOnce(4))
                .tasks()
                .getFirst()
                .examples()
                .getFirst()
                .scores())
        .isNotEqualTo(alone.getFirst().scores());
    Settings two = new Settings(4, 64, 64, 2);
    assertThat(run(model, adapter, words, list, two).tasks().getFirst().examples()).hasSize(2);
  }

  @Test
  void aFolderWithoutAnAdapterIsRefused() {
    assertThatThrownBy(() -> StoredAdapter.open(folder, config("mov/t5_base")))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContainingAll(folder.toString(), "adapter.json", "adapter_config.json");
  }

  private static T5Config config(String name) {
    return HuggingFaceConfig.read(Golden.path(name)).t5();
  }

  @Test
  void anotherModelsAdapterIsRefused() throws IOException {
    writeTask("molora");
    TaskList list = list("- {name: score, files: [score.jsonl]}\n");
    Path adapter = adapter("molora");
    assertThatThrownBy(() -> run(Golden.path("hf/hf_t5"), adapter, fewWords(), list, atOnce(4)))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining(AdapterFolder.WEIGHTS);
  }

  @Test
  void whatCannotBeRankedIsRefusedWithItsListAndTask() throws IOException {
    Path model = Golden.path("mov/t5_base");
    Files.writeString(folder.resolve("a.jsonl"), "{\"inputs\": [3], \"targets\": \"yes\"}\n");
    assertRefused(model, "- {name: a, files: [a.jsonl]}\n", "task a", "no answer choices");
    assertRefused(
        model, "- {name: b, files: [b.jsonl]}\n", "task b", "b.jsonl is missing", "--root");
    assertRefused(
        model,
        "- {name: a, files: [a.jsonl]}\n- {name: a, group: a, files: [a.jsonl]}\n",
        "a of a is there twice");
    Files.writeString(
        folder.resolve("c.jsonl"),
        "{\"inputs\": [3], \"targets\": \"yes\", \"answer_choices\": [\"yes\", \"no\"]}\n");
    assertRefused(
        model, "- {name: c, classes: 3, files: [c.jsonl]}\n", "task c", "2 choices", "3 classes");
    Files.writeString(
        folder.resolve("d.jsonl"),
        "{\"inputs\": [3], \"targets\": [9999], \"idx\": [0, 0], \"is_correct\": 1}\n");
    assertRefused(model, "- {name: d, files: [d.jsonl]}\n", "task d", "id 9999");
  }

  private void assertRefused(Path model, String tasks, String... words) throws IOException {
    TaskList list = list(tasks);
    assertThatThrownBy(() -> run(model, null, list, atOnce(4)))
        .isInstanceOf(DataException.class)
        .hasMessageContaining("list.yaml")
        .hasMessageContainingAll(words);
  }

  @Test
  void anotherModelsTokenizerIsRefused() throws IOException {
    writeTask("molora");
    TaskList list = list("- {name: score, files: [score.jsonl]}\n");
    assertThatThrownBy(() -> run(Golden.path("hf/hf_t5"), null, list, atOnce(4)))
        .isInstanceOf(DataException.class)
        .hasMessageContainingAll("tokenizer.json has 104 tokens", "vocab_size is 96");
  }

  @Test
  void nothingIsScoredAtOnce() {
    assertThatThrownBy(() -> atOnce(0)).isInstanceOf(ConfigException.class);
  }
}
