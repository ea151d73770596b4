package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.Golden;
import io.moextend.adapter.AdapterFolder;
import io.moextend.adapter.PeftFolder;
import io.moextend.adapter.StoredAdapter;
import io.moextend.checkpoint.CheckpointFolder;
import io.moextend.checkpoint.FrozenProof;
import io.moextend.checkpoint.SafetensorsFile;
import io.moextend.checkpoint.TensorData;
import io.moextend.checkpoint.WeightSource;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.stage.Stage;
import io.moextend.train.Progress;
import io.moextend.train.TrainConfig;
import io.moextend.train.Trainer;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Stage adapt on tiny decoders of three families, on one rank and on two. */
@Timeout(120)
class AdaptedDecoderRunTest {
  private static final int STEPS = 4;
  private static final int GLOBAL_BATCH = 4;

  @TempDir static Path shared;

  private static final Map<String, Path> BASES = new HashMap<>();

  @TempDir Path folder;

  private AdaptedRuns runs;
  private int count;

  @BeforeAll
  static void makeModels() {
    AdaptedRuns all = AdaptedRuns.in(shared);
    for (String family : new String[] {"mixtral", "llama", "phi3"}) {
      BASES.put(family, all.base(family));
    }
  }

  private static Path base(String family) {
    return BASES.get(family);
  }

  private TrainConfig config(String family, String method, String... more) {
    if (runs == null) {
      runs = AdaptedRuns.in(folder);
    }
    String[] settings = Arrays.copyOf(more, more.length + 1);
    settings[more.length] = "adapter.method=" + method;
    return runs.read(base(family), folder.resolve("run-" + count++), settings);
  }

  private static Trainer.Ending train(TrainConfig config, BooleanSupplier stop) {
    var silent = new PrintStream(PrintStream.nullOutputStream());
    try (RankGroup alone = RankGroup.alone(stop)) {
      return new TrainingRun(Stage.ADAPT, config, alone, silent, Progress.Display.QUIET).run();
    }
  }

  private static Path trained(TrainConfig config) {
    assertThat(train(config, () -> false)).isEqualTo(Trainer.Ending.DONE);
    return config.checkpoints().outputDir();
  }

  private static Path weights(Path output) {
    Path model = output.resolve("model");
    return Stream.of(PeftFolder.WEIGHTS, AdapterFolder.WEIGHTS)
        .map(model::resolve)
        .filter(Files::exists)
        .findFirst()
        .orElseThrow();
  }

  private static float[] logits(Path model, Object... more) throws IOException {
    Path out = Files.createTempDirectory(shared, "traced").resolve("out.safetensors");
    Object[] words = {
      "trace",
      "--model",
      model,
      "--inputs",
      Golden.path("hf/hf_mixtral/inputs.safetensors"),
      "--output",
      out
    };
    Object[] all = Arrays.copyOf(words, words.length + more.length);
    System.arraycopy(more, 0, all, words.length, more.length);
    Bunny.ran(all);
    try (WeightSource traced = SafetensorsFile.open(out)) {
      return traced.tensor("logits").floats();
    }
  }

  @ParameterizedTest
  @CsvSource({
    "mixtral, ia3, adapter_config.json adapter_model.safetensors",
    "mixtral, lora, adapter_config.json adapter_model.safetensors",
    "mixtral, molora, adapter.json adapter.safetensors",
    "llama, mov, adapter.json adapter.safetensors",
    "phi3, ia3, adapter.json adapter.safetensors",
    "phi3, lora, adapter_config.json adapter_model.safetensors",
    "phi3, mov, adapter.json adapter.safetensors"
  })
  void adaptersAloneAreTrainedAndLeftAndTheBaseStaysByteForByte(
      String family, String method, String left) throws IOException {
    Path before = Files.copy(base(family).resolve("model.safetensors"), folder.resolve("before"));
    Path output = folder.resolve("out");
    Object[] words = AdaptedRuns.in(folder).train("adapt", base(family), output);
    words = Arrays.copyOf(words, words.length + 2);
    words[words.length - 2] = "--method";
    words[words.length - 1] = method;
    Ran ran = Bunny.ran(words);
    Path model = output.resolve("model");
    assertThat(model).isDirectory();
    try (Stream<Path> files = Files.list(model)) {
      assertThat(files.map(f -> f.getFileName().toString()).sorted())
          .containsExactly(left.split(" "));
    }
    RanksRun.requireSame(model, output.resolve("checkpoint-" + STEPS).resolve("adapter"));
    assertThat(base(family).resolve("model.safetensors")).hasSameBinaryContentAs(before);
    try (WeightSource source = CheckpointFolder.open(base(family))) {
      assertThat(FrozenProof.read(output.resolve("frozen.json")).tensors().keySet())
          .isEqualTo(source.names());
    }
    Path proof = output.resolve("frozen.json");
    assertThat(Bunny.ran("verify", "--model", base(family), "--proof", proof).out())
        .contains("frozen tensors are byte for byte");
    assertThat(ThreadedRuns.losses(output)).hasSize(STEPS);
    assertThat(Files.readString(output.resolve("report.html"))).contains("adapt");
    requireEveryTensorMoved(family, method, model);
    assertThat(logits(base(family), "--adapter", model)).isNotEqualTo(logits(base(family)));
    assertThat(ran.err()).isEmpty();
  }

  /** Vectors from 1, B of products from 0, whatever else from where it was drawn. */
  private static void requireEveryTensorMoved(String family, String method, Path model) {
    StoredAdapter stored = StoredAdapter.open(model, HuggingFaceConfig.read(base(family)).model());
    assertThat(stored.config().method().word()).isEqualTo(method);
    try (WeightSource weights = stored.weights()) {
      assertThat(weights.names()).isNotEmpty();
      for (String name : weights.names()) {
        TensorData tensor = weights.tensor(name);
        float start = name.endsWith("_scaling") ? 1 : 0;
        float[] values = tensor.floats();
        float[] started = new float[values.length];
        Arrays.fill(started, start);
        assertThat(values).as(name).isNotEqualTo(started);
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"mixtral, lora", "phi3, ia3", "phi3, molora"})
  void aRunGoesOnFromTrainedAdapters(String family, String method) throws IOException {
    Path first = trained(config(family, method));
    // a rate that moves nothing to speak of
    Path second =
        trained(
            config(
                family,
                method,
                "model.delta=" + first.resolve("model"),
                "optimizer.learning_rate=1.0e-12"));
    try (WeightSource one = SafetensorsFile.open(weights(first));
        WeightSource other = SafetensorsFile.open(weights(second))) {
      ThreadedRuns.requireSame(one, other, 1e-6, name -> true);
    }
    assertThat(ThreadedRuns.losses(second).getFirst())
        .isLessThan(ThreadedRuns.losses(first).getFirst());
  }

  /** The noise of routers' inputs in a step is the same whatever was before it. */
  @ParameterizedTest
  @CsvSource({"mixtral, molora, 0.2", "llama, lora, 0", "phi3, mov, 0.2"})
  void aRunThatWasStoppedGoesOnToTheSameBytes(String family, String method, double noise)
      throws IOException {
    String jitter = "adapter.jitter_noise=" + noise;
    Path whole = trained(config(family, method, jitter));
    TrainConfig stopped = config(family, method, jitter);
    Path output = stopped.checkpoints().outputDir();
    var asked = new AtomicInteger();
    assertThat(train(stopped, () -> asked.incrementAndGet() > 2)).isEqualTo(Trainer.Ending.STOPPED);
    assertThat(output.resolve("model")).doesNotExist();
    assertThat(ThreadedRuns.losses(output)).hasSizeBetween(1, STEPS - 1);
    TrainConfig again =
        config(
            family,
            method,
            jitter,
            "checkpoints.output_dir=" + output,
            "checkpoints.resume_from_checkpoint=auto");
    assertThat(trained(again)).isEqualTo(output);
    assertThat(weights(output)).hasSameBinaryContentAs(weights(whole));
    assertThat(ThreadedRuns.losses(output)).isEqualTo(ThreadedRuns.losses(whole));
  }

  @ParameterizedTest
  @CsvSource({
    "mixtral, molora, 0",
    "mixtral, lora, 1",
    "mixtral, mov, 3",
    "llama, molora, 3",
    "phi3, mov, 2"
  })
  void twoRanksTrainAsOne(String family, String method, int zero) throws Exception {
    String[] settings = {
      "training.per_device_train_batch_size=1",
      "optimizer.learning_rate=1.0e-3",
      "optimizer.adam_epsilon=1.0e-6",
      "distributed.bucket_bytes=4096",
      "training.gradient_accumulation_steps=" + GLOBAL_BATCH
    };
    Path alone = trained(config(family, method, settings));
    settings[4] = "training.gradient_accumulation_steps=" + GLOBAL_BATCH / 2;
    String[] sharded = Arrays.copyOf(settings, settings.length + 1);
    sharded[settings.length] = "distributed.zero_stage=" + zero;
    TrainConfig halves = config(family, method, sharded);
    ThreadedRuns.train("adapt", halves, 2);
    Path two = halves.checkpoints().outputDir();
    ThreadedRuns.requireSameLosses(alone, two, 1e-5);
    try (WeightSource one = SafetensorsFile.open(weights(alone));
        WeightSource other = SafetensorsFile.open(weights(two))) {
      ThreadedRuns.requireSame(one, other, 1e-5, name -> true);
    }
  }
}
