package io.moextend.cli;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.array.DType;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider;
import io.moextend.backend.Backends;
import io.moextend.config.ConfigException;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.demo.DemoData;
import io.moextend.demo.DemoTokenizer;
import io.moextend.train.RandomModel;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/** What every demo begins with: an empty folder, a world, and two models that know nothing. */
record DemoGround(DemoSettings settings, DemoDiary diary) {
  private static final String BLANK = "blank";
  private static final String TOWER = "tower";

  /** Results of two demos in one folder could not be told apart. */
  void requireNew() {
    Path output = settings.output();
    if (!Files.exists(output)) {
      return;
    }
    try (Stream<Path> inside = Files.list(output)) {
      if (inside.findAny().isPresent()) {
        throw new ConfigException(
            "--output", output, "is not empty; remove it, or name another folder");
      }
    } catch (IOException e) {
      throw new ConfigException("--output=" + output + ": cannot be read: " + e, e);
    }
  }

  /** The world's files. */
  DemoData world(DemoData.Sizes sizes, DemoTokenizer tokenizer) {
    Path folder = settings.output().resolve("data");
    return diary.part(
        "drawing the world", () -> DemoData.write(folder, settings.seed(), sizes, tokenizer));
  }

  /** Folder of the language model before it was trained. */
  static Path blank(Path output) {
    return output.resolve(BLANK);
  }

  /** Folder of the vision tower. */
  static Path tower(Path output) {
    return output.resolve(TOWER);
  }

  /** Models that know nothing: one of language, one of pictures. */
  void blank(
      Backend backend, DemoData world, HuggingFaceConfig languageModel, HuggingFaceConfig tower) {
    diary.note("computing on %s (%s), %s", backend.name(), backend.device(), dtype());
    diary.part(
        "random model and tower",
        () -> {
          Path output = settings.output();
          random(backend, languageModel, world.tokenizer(), blank(output));
          return random(backend, tower, preprocessing(), tower(output));
        });
  }

  private DType dtype() {
    return settings.dtype().dtype();
  }

  private Path random(Backend backend, HuggingFaceConfig config, Path companions, Path folder) {
    RandomModel.write(backend, config, dtype(), settings.seed(), List.of(companions), folder);
    return folder;
  }

  /** A folder with the tower's preprocessor_config.json, which goes along with its weights. */
  private Path preprocessing() {
    Path folder = settings.output().resolve("preprocessing");
    try {
      Files.createDirectories(folder);
      Files.writeString(folder.resolve("preprocessor_config.json"), DemoTower.preprocessing());
    } catch (IOException e) {
      throw new UncheckedIOException("cannot write into " + folder + ": " + e.getMessage(), e);
    }
    return folder;
  }

  /** What the demo's own process computes with. */
  @MustBeClosed
  Backend backend() {
    var options =
        new BackendProvider.Options(settings.threads(), 0, null, new CudaOptions().search());
    return Backends.open(settings.backend(), options, dtype());
  }
}
