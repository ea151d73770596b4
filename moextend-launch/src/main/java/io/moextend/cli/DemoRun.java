package io.moextend.cli;

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
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/** The demo: makes the world and the blank models, runs the chain, writes the report. */
final class DemoRun {
  private final DemoSettings settings;
  private final DemoPlan plan;
  private final PrintStream out;

  DemoRun(DemoSettings settings, DemoPlan plan, PrintStream out) {
    settings.requireSharable(plan.stages());
    this.settings = settings;
    this.plan = plan;
    this.out = out;
  }

  /**
   * Trains, measures, and writes report.html into the output folder.
   *
   * @throws ConfigException where something stands there already
   */
  DemoResults run() {
    requireNew(settings.output());
    var diary = new DemoDiary(out);
    Path folder = settings.output().resolve("data");
    DemoData world =
        diary.part(
            "drawing the world",
            () ->
                DemoData.write(folder, settings.seed(), plan.sizes(), DemoTokenizer.INSTRUCTIONS));
    DType dtype = settings.dtype().dtype();
    try (Backend backend =
        Backends.open(
            settings.backend(), new BackendProvider.Options(settings.threads(), 0), dtype)) {
      diary.note("computing on %s (%s), %s", backend.name(), backend.device(), dtype);
      diary.part("random model and tower", () -> blank(backend, world));
      DemoResults results = new DemoChain(settings, plan, world, backend, diary, out).run();
      new DemoReport(settings, plan, results).write(report());
      return results;
    }
  }

  /** Results of two demos in one folder could not be told apart. */
  private static void requireNew(Path output) {
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

  /** Where the report is. */
  Path report() {
    return settings.output().resolve("report.html");
  }

  /** Models that know nothing: one of language, one of pictures. */
  private Path blank(Backend backend, DemoData world) {
    Path language = settings.output().resolve(DemoChain.BLANK);
    random(backend, plan.languageModel(), world.tokenizer(), language);
    random(backend, plan.tower(), preprocessing(), settings.output().resolve(DemoChain.TOWER));
    return language;
  }

  private void random(Backend backend, HuggingFaceConfig config, Path companions, Path folder) {
    RandomModel.write(
        backend, config, settings.dtype().dtype(), settings.seed(), List.of(companions), folder);
  }

  /** A folder with the tower's preprocessor_config.json, which goes along with its weights. */
  private Path preprocessing() {
    Path folder = settings.output().resolve("preprocessing");
    try {
      Files.createDirectories(folder);
      Files.writeString(folder.resolve("preprocessor_config.json"), DemoPlan.preprocessing());
    } catch (IOException e) {
      throw new UncheckedIOException("cannot write into " + folder + ": " + e.getMessage(), e);
    }
    return folder;
  }
}
