package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.withinPercentage;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.adapter.AdapterFolder;
import io.moextend.adapter.PeftFolder;
import io.moextend.array.DType;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider.Options;
import io.moextend.backend.Backends;
import io.moextend.checkpoint.CheckpointFolder;
import io.moextend.checkpoint.FrozenProof;
import io.moextend.checkpoint.SafetensorsFile;
import io.moextend.checkpoint.WeightSource;
import io.moextend.config.ConfigException;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.config.T5Config;
import io.moextend.demo.PromptedWorld;
import io.moextend.train.AdaptConfig;
import io.moextend.train.Progress;
import io.moextend.train.RandomModel;
import io.moextend.train.Trainer;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Stage adapt on a tiny random T5 and prompted tasks, on one rank and on two. */
@Timeout(120)
class AdaptRunTest {
  private static final int STEPS = 5;
  private static final int GLOBAL_BATCH = 8;

  @TempDir static Path shared;

  private static PromptedWorld world;
  private static Path base;

  @TempDir Path folder;

  private int runs;

  @BeforeAll
  static void makeModel() {
    world = PromptedWorld.write(shared.resolve("data"), 3, new PromptedWorld.Sizes(4, 10, 2));
    base = shared.resolve("t5");
    var shape = T5Config.v11(PromptedWorld.vocabularySize(), 16, 8, 2, 24, 1, 1);
    try (Backend backend = Backends.open("cpu", new Options(1, 0))) {
      RandomModel.write(
          backend, HuggingFaceConfig.of(shape), DType.F32, 5, List.of(world.tokenizer()), base);
    }
  }

  private AdaptConfig config(String method, String... more) throws IOException {
    Path file = folder.resolve("run.yaml");
    Files.writeString(
        file,
        """
        model:
          base: %s
        adapter:
          method: %s
          experts: 3
          rank: 2
        data:
          mixture: %s
          inputs_length: 48
          targets_length: 6
        optimizer:
          learning_rate: 1.0e-2
          adafactor:
            min_dim_size_to_factor: 8
        training:
          per_device_train_batch_size: %d
          max_steps: %d
          dtype: f32
          backend: cpu
          threads: 1
        checkpoints:
          output_dir: %s
        """
            .formatted(
                base,
                method,
                world.adaptation(),
                GLOBAL_BATCH,
                STEPS,
                folder.resolve("run-" + runs++)));
    return AdaptConfig.read(file, List.of(more));
  }

  private static String[] and(String[] settings, String... more) {
    return Stream.concat(Stream.of(settings), Stream.of(more)).toArray(String[]::new);
  }

  private static Trainer.Ending train(AdaptConfig config, BooleanSupplier stop) {
    var silent = new PrintStream(PrintStream.nullOutputStream());
    try (RankGroup alone = RankGroup.alone(stop)) {
      return new AdaptRun(config, alone, silent, Progress.Display.QUIET).run();
    }
  }

  /** The folder that a whole run left. */
  private static Path trained(AdaptConfig config) {
    assertThat(train(config, () -> false)).isEqualTo(Trainer.Ending.DONE);
    return config.checkpoints().outputDir();
  }

  private static Path weights(Path output) {
    Path model = output.resolve("model");
    return Stream.of(PeftFolder.WEIGHTS, AdapterFolder.WEIGHTS, "model.safetensors")
        .map(model::resolve)
        .filter(Files::exists)
        .findFirst()
        .orElseThrow();
  }

  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // handed to the caller, who closes it
  private static WeightSource model(Path output) {
    return SafetensorsFile.open(weights(output));
  }

  private static List<String> files(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(f -> f.getFileName().toString()).sorted().toList();
    }
  }

  @ParameterizedTest
  @CsvSource({
    "ia3, adapter_config.json adapter_model.safetensors",
    "lora, adapter_config.json adapter_model.safetensors",
    "mov, adapter.json adapter.safetensors",
    "molora, adapter.json adapter.safetensors"
  })
  void adaptersAreLeftAloneInTheFilesOfTheirMethodAndTheBaseStaysAsItIs(String method, String left)
      throws IOException {
    Path output = trained(config(method));
    assertThat(files(output.resolve("model"))).containsExactly(left.split(" "));
    assertThat(files(output)).contains("config.yaml", "frozen.json", "metrics.jsonl");
    assertThat(Files.readString(output.resolve("report.html"))).contains("adapt " + method);
    assertThat(ThreadedRuns.losses(output)).hasSize(STEPS);
    try (WeightSource weights = CheckpointFolder.open(base)) {
      FrozenProof proof = FrozenProof.read(output.resolve("frozen.json"));
      assertThat(proof.verify(weights)).isEmpty();
      assertThat(Files.readString(output.resolve("frozen.json")))
          .contains(weights.names().iterator().next());
    }
  }

  @Test
  void fullFinetuningLeavesAWholeModelInWhichEveryWeightMoved() throws IOException {
    Path output = trained(config("full"));
    assertThat(files(output.resolve("model")))
        .contains("config.json", "model.safetensors", "tokenizer.json");
    try (WeightSource before = CheckpointFolder.open(base);
        WeightSource after = CheckpointFolder.open(output.resolve("model"))) {
      assertThat(after.names()).isEqualTo(before.names());
      for (String name : before.names()) {
        assertThat(after.tensor(name).floats()).as(name).isNotEqualTo(before.tensor(name).floats());
      }
    }
  }

  /** The dropout and the routers' noise of a step are the same whatever was before it. */
  @ParameterizedTest
  @CsvSource({"molora, adafactor, 0.2", "mov, adamw, 0.2", "lora, adafactor, 0", "full, adamw, 0"})
  void aRunThatWasStoppedGoesOnToTheSameBytes(String method, String optimizer, double noise)
      throws IOException {
    String[] settings = {
      "optimizer.optim=" + optimizer,
      "optimizer.lr_scheduler_type=cosine",
      "training.per_device_train_batch_size=2",
      "training.gradient_accumulation_steps=2",
      "adapter.jitter_noise=" + noise,
      "data.dataloader_num_workers=2"
    };
    Path whole = trained(config(method, settings));
    AdaptConfig stopped = config(method, settings);
    Path output = stopped.checkpoints().outputDir();
    var asked = new AtomicInteger();
    assertThat(train(stopped, () -> asked.incrementAndGet() > 2)).isEqualTo(Trainer.Ending.STOPPED);
    assertThat(output.resolve("model")).doesNotExist();
    assertThat(ThreadedRuns.losses(output)).hasSizeBetween(1, STEPS - 1);
    AdaptConfig again =
        config(
            method,
            and(
                settings,
                "checkpoints.output_dir=" + output,
                "checkpoints.resume_from_checkpoint=auto"));
    assertThat(trained(again)).isEqualTo(output);
    assertThat(weights(output)).hasSameBinaryContentAs(weights(whole));
    assertThat(ThreadedRuns.losses(output)).isEqualTo(ThreadedRuns.losses(whole));
  }

  /** Rows hold different numbers of examples; each rank has half of them. */
  @ParameterizedTest
  @CsvSource({
    "molora, adafactor, 0, average_per_sequence",
    "molora, adafactor, 1, average_per_sequence",
    "molora, adamw, 2, num_real_target_tokens",
    "mov, adamw, 1, none",
    "full, adafactor, 0, average_per_sequence",
    "full, adamw, 2, average_per_sequence"
  })
  void twoRanksTrainAsOne(String method, String optimizer, int zero, String normalizer)
      throws Exception {
    String[] settings = {
      "optimizer.optim=" + optimizer,
      "optimizer.adam_epsilon=1.0e-6",
      "optimizer.learning_rate=2.0e-3",
      "training.dropout_rate=0",
      "training.loss_normalizer=" + normalizer,
      "model.adapter=" + (method.equals("mov") ? different() : null)
    };
    Path alone = trained(config(method, settings));
    AdaptConfig halves =
        config(
            method,
            and(
                settings,
                "training.per_device_train_batch_size=" + GLOBAL_BATCH / 2,
                "distributed.bucket_bytes=4096",
                "distributed.zero_stage=" + zero));
    ThreadedRuns.train(halves, 2);
    Path two = halves.checkpoints().outputDir();
    ThreadedRuns.requireSameLosses(alone, two, 1e-5);
    try (WeightSource one = model(alone);
        WeightSource other = model(two)) {
      ThreadedRuns.requireSame(one, other, 1e-5, name -> true);
    }
  }

  /** A number of batches that ranks cannot share alike; nothing is drawn in them. */
  @Test
  void heldOutPromptsAreEvaluatedAlikeOnOneRankAndOnTwo() throws Exception {
    String[] settings = {
      "data.eval_mixture=" + world.examination(),
      "evaluation.eval_steps=2",
      "evaluation.per_device_eval_batch_size=3",
      "training.dropout_rate=0",
      "adapter.top_k=2",
      "adapter.load_balancing_loss_coef=0.1"
    };
    Path alone = trained(config("molora", and(settings, "training.max_steps=1")));
    assertThat(evaluated(alone, 2)).isEmpty();
    List<Double> one = evaluated(trained(config("molora", settings)), 4);
    AdaptConfig twice =
        config("molora", and(settings, "training.per_device_train_batch_size=" + GLOBAL_BATCH / 2));
    ThreadedRuns.train(twice, 2);
    List<Double> two = evaluated(twice.checkpoints().outputDir(), 4);
    assertThat(one).hasSize(1);
    // ranks balance their own rows, which moves a router a little
    assertThat(two.getFirst()).isCloseTo(one.getFirst(), withinPercentage(0.1));
  }

  private static List<Double> evaluated(Path output, int step) throws IOException {
    var losses = new ArrayList<Double>();
    for (String line : Files.readAllLines(output.resolve("metrics.jsonl"))) {
      JsonNode values = new JsonMapper().readTree(line);
      if (values.has("eval_loss") && values.get("step").asInt() == step) {
        losses.add(values.get("eval_loss").asDouble());
      }
    }
    return losses;
  }

  /** Vectors that are all alike give routers a gradient of rounding, which Adam makes large. */
  private Path different() throws IOException {
    return trained(config("mov")).resolve("model");
  }

  @ParameterizedTest
  @CsvSource({
    "lora, 3, an encoder-decoder's layers stay whole",
    "full, 2, has its state by rows and columns"
  })
  void whatRanksCannotCutIsRefusedByName(String method, int zero, String message)
      throws IOException {
    AdaptConfig config = config(method, "distributed.zero_stage=" + zero);
    assertThatThrownBy(() -> ThreadedRuns.train(config, 2))
        .cause()
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("distributed.zero_stage=" + zero + ": ")
        .hasMessageContaining(message);
  }

  @ParameterizedTest
  @ValueSource(strings = {"ia3", "lora", "mov", "molora"})
  void aRunGoesOnFromTrainedAdapters(String method) throws IOException {
    Path first = trained(config(method, "training.dropout_rate=0"));
    String from = "model.adapter=" + first.resolve("model");
    // a rate that moves nothing to speak of
    Path second =
        trained(config(method, from, "optimizer.learning_rate=1.0e-12", "training.dropout_rate=0"));
    try (WeightSource one = model(first);
        WeightSource other = model(second)) {
      ThreadedRuns.requireSame(one, other, 1e-6, name -> true);
    }
    // the same rows
    assertThat(ThreadedRuns.losses(second).getFirst())
        .isLessThan(ThreadedRuns.losses(first).getFirst());
  }

  @Test
  void adaptersOfAnotherKindAreNotGoneOnFrom() throws IOException {
    Path lora = trained(config("lora", "training.max_steps=1")).resolve("model");
    Path molora = trained(config("molora", "training.max_steps=1")).resolve("model");
    List<List<String>> wrong =
        List.of(
            List.of("molora", lora.toString(), "holds lora with 1 experts, rank 2, alpha 16.0"),
            List.of("lora", lora.toString(), "asks for lora with 1, 4, 16.0", "adapter.rank=4"),
            List.of("molora", molora.toString(), "holds molora with 3 ex", "adapter.experts=2"),
            List.of("molora", molora.toString(), "alpha 16.0", "adapter.alpha=8"));
    for (List<String> each : wrong) {
      var more = new ArrayList<>(List.of("model.adapter=" + each.get(1)));
      more.addAll(each.subList(3, each.size()));
      AdaptConfig config = config(each.getFirst(), more.toArray(String[]::new));
      assertThatThrownBy(() -> trained(config))
          .isInstanceOf(ConfigException.class)
          .hasMessageContaining("model.adapter=" + each.get(1) + ": ")
          .hasMessageContaining(each.get(2));
      assertThat(config.checkpoints().outputDir().resolve("metrics.jsonl")).doesNotExist();
    }
  }

  @Test
  void adaptersAtOtherSitesAreRefusedByTheTensor() throws IOException {
    Path attention =
        trained(config("lora", "training.max_steps=1", "adapter.target_modules=[attention]"))
            .resolve("model");
    assertThatThrownBy(() -> trained(config("lora", "model.adapter=" + attention)))
        .hasMessageContaining("has no tensor encoder.")
        .hasMessageContaining("DenseReluDense");
    Path all = trained(config("molora", "training.max_steps=1")).resolve("model");
    String[] fewer = {"model.adapter=" + all, "adapter.target_modules=[q, v]"};
    assertThatThrownBy(() -> trained(config("molora", fewer))).hasMessageContaining(all.toString());
  }
}
