package io.moextend.cli;

import io.moextend.Golden;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/** A folder with a tiny model, four samples and a configuration of a run on them. */
final class Workspace {
  /** What a command line came to. */
  record Outcome(int code, String out, String err) {}

  private final Path folder;

  Workspace(Path folder) {
    this.folder = folder;
    copy(Golden.path("moextend/data"), data());
  }

  Path folder() {
    return folder;
  }

  Path data() {
    return folder.resolve("data");
  }

  Path samples() {
    return data().resolve("train.json");
  }

  /** The model that runs start from. */
  Path base() {
    return folder.resolve("base");
  }

  /** The folder of the run. */
  Path output() {
    return folder.resolve("out");
  }

  Path config() {
    return folder.resolve("run.yaml");
  }

  /** The golden model a stage starts from, with the tokenizer, as a folder of its own. */
  Workspace startFrom(String golden) {
    copy(Golden.path("moextend/" + golden), base());
    copy(Golden.path("moextend/tokenizer_tiny"), base());
    return this;
  }

  Workspace configured() {
    write(
        config(),
        """
        model: {base: %s}
        data: {train_files: [%s], max_length: 128}
        optimizer: {learning_rate: 1.0e-2}
        training: {per_device_train_batch_size: 2, max_steps: 2, dtype: f32, backend: cpu, threads: 1}
        checkpoints: {output_dir: %s, save_steps: 0}
        """
            .formatted(base(), samples(), output()));
    return this;
  }

  /** One stage's run, with settings as typed after --set. */
  Outcome train(String stage, String... settings) {
    var args =
        new ArrayList<>(
            List.of("train", "--quiet", "--stage", stage, "--config", config().toString()));
    for (String setting : settings) {
      args.add("--set");
      args.add(setting);
    }
    return moextend(args.toArray(String[]::new));
  }

  static Outcome moextend(String... args) {
    var out = new StringWriter();
    var err = new StringWriter();
    int code = MoExtend.run(new PrintWriter(out, true), new PrintWriter(err, true), args);
    return new Outcome(code, out.toString(), err.toString());
  }

  static void write(Path file, String text) {
    try {
      Files.createDirectories(file.getParent());
      Files.writeString(file, text);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static String read(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Replaces a text that must be there. */
  static void change(Path file, String from, String to) {
    String text = read(file);
    if (!text.contains(from)) {
      throw new IllegalStateException(file + " does not hold " + from);
    }
    write(file, text.replace(from, to));
  }

  static void copy(Path from, Path to) {
    try {
      Files.createDirectories(to);
      try (Stream<Path> files = Files.list(from)) {
        for (Path file : files.filter(Files::isRegularFile).toList()) {
          Files.copy(file, to.resolve(file.getFileName()));
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
