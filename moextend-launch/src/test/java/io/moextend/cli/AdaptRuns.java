package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.adapter.AdapterFolder;
import io.moextend.adapter.PeftFolder;
import io.moextend.array.DType;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider.Options;
import io.moextend.backend.Backends;
import io.moextend.checkpoint.SafetensorsFile;
import io.moextend.checkpoint.WeightSource;
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
import java.util.List;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;

/** A tiny random T5, prompted tasks, and runs that adapt it to them. */
final class AdaptRuns {
  static final int STEPS = 5;
  static final int GLOBAL_BATCH = 8;

  private final PromptedWorld world;
  private final Path base;
  private int runs;

  private AdaptRuns(PromptedWorld world, Path base) {
    this.world = world;
    this.base = base;
  }

  static AdaptRuns in(Path folder) {
    PromptedWorld world =
        PromptedWorld.write(folder.resolve("data"), 3, new PromptedWorld.Sizes(4, 10, 2));
    Path base = folder.resolve("t5");
    var shape = T5Config.v11(PromptedWorld.vocabularySize(), 16, 8, 2, 24, 1, 1);
    try (Backend backend = Backends.open("cpu", new Options(1, 0))) {
      RandomModel.write(
          backend, HuggingFaceConfig.of(shape), DType.F32, 5, List.of(world.tokenizer()), base);
    }
    return new AdaptRuns(world, base);
  }

  PromptedWorld world() {
    return world;
  }

  Path base() {
    return base;
  }

  /**
   * The configuration of one more run.
   *
   * @param folder in which its file and its output lie
   */
  AdaptConfig config(Path folder, String method, String... more) throws IOException {
    return AdaptConfig.read(file(folder, method), List.of(more));
  }

  /** Its file. */
  Path file(Path folder, String method) throws IOException {
    return Files.writeString(
        folder.resolve("run.yaml"),
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
  }

  static String[] and(String[] settings, String... more) {
    return Stream.concat(Stream.of(settings), Stream.of(more)).toArray(String[]::new);
  }

  static Trainer.Ending train(AdaptConfig config, BooleanSupplier stop) {
    var silent = new PrintStream(PrintStream.nullOutputStream());
    try (RankGroup alone = RankGroup.alone(stop)) {
      return new AdaptRun(config, alone, silent, Progress.Display.QUIET).run();
    }
  }

  /** The folder that a whole run left. */
  static Path trained(AdaptConfig config) {
    assertThat(train(config, () -> false)).isEqualTo(Trainer.Ending.DONE);
    return config.checkpoints().outputDir();
  }

  static Path weights(Path output) {
    Path model = output.resolve("model");
    return Stream.of(PeftFolder.WEIGHTS, AdapterFolder.WEIGHTS, "model.safetensors")
        .map(model::resolve)
        .filter(Files::exists)
        .findFirst()
        .orElseThrow();
  }

  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // handed to the caller, who closes it
  static WeightSource model(Path output) {
    return SafetensorsFile.open(weights(output));
  }
}
