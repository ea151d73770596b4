package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.moextend.Golden;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A process killed in the middle of a run and started again ends where it would have ended. */
class KilledRunTest {
  private static final int STEPS = 10;

  @TempDir Path folder;

  @ParameterizedTest
  @CsvSource({
    "alignment, vision_align, f32",
    "extension, vision_gate, f32",
    "finetune, moextend_ft_rand, f32",
    "finetune, moextend_ft_rand, bf16"
  })
  void aKilledRunThatGoesOnEndsWithTheSameBytes(String stage, String golden, String dtype)
      throws Exception {
    Workspace work = new Workspace(folder).startFrom(golden).configured();
    Path whole = folder.resolve("whole");
    Path killed = folder.resolve("killed");
    assertThat(work.train(stage, settings(whole, dtype)).err()).isEmpty();

    killAfter(work, stage, killed, settings(killed, dtype));
    assertThat(killed.resolve("checkpoint-" + STEPS)).doesNotExist();
    assertThat(killed.resolve("model")).doesNotExist();

    List<String> again = new ArrayList<>(List.of(settings(killed, dtype)));
    again.add("checkpoints.resume_from_checkpoint=auto");
    assertThat(work.train(stage, again.toArray(String[]::new)).err()).isEmpty();

    same(whole.resolve("model"), killed.resolve("model"));
    for (String file :
        List.of("optimizer-00001-of-00001.safetensors", "delta.safetensors", "frozen.json")) {
      assertThat(killed.resolve("checkpoint-" + STEPS).resolve(file))
          .hasSameBinaryContentAs(whole.resolve("checkpoint-" + STEPS).resolve(file));
    }
    assertThat(metrics(killed)).hasSize(STEPS).isEqualTo(metrics(whole));
  }

  private static String[] settings(Path output, String dtype) {
    return new String[] {
      "training.max_steps=" + STEPS,
      "training.gradient_accumulation_steps=4",
      "training.dtype=" + dtype,
      "checkpoints.save_steps=5",
      "checkpoints.output_dir=" + output
    };
  }

  /** Starts the run as a process and kills it as soon as its first checkpoint is whole. */
  private static void killAfter(Workspace work, String stage, Path output, String[] settings)
      throws IOException, InterruptedException {
    Path project = Golden.root().resolveSibling("scripts");
    var command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "@" + project.resolve("jvm.flags"),
                "-cp",
                System.getProperty("java.class.path"),
                "io.moextend.cli.MoExtend",
                "train",
                "--quiet",
                "--stage",
                stage,
                "--config",
                work.config().toString()));
    for (String setting : settings) {
      command.add("--set");
      command.add(setting);
    }
    File log = work.folder().resolve("killed.log").toFile();
    Process process =
        new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log).start();
    try {
      long patience = System.nanoTime() + TimeUnit.MINUTES.toNanos(2);
      while (!Files.exists(output.resolve("checkpoint-5"))) {
        assertThat(process.isAlive()).as(() -> Workspace.read(log.toPath())).isTrue();
        assertThat(System.nanoTime()).as("no checkpoint in two minutes").isLessThan(patience);
        Thread.sleep(1);
      }
    } finally {
      process.destroyForcibly();
    }
    assertThat(process.waitFor(1, TimeUnit.MINUTES)).isTrue();
    assertThat(process.exitValue()).as("killed by signal 9").isEqualTo(128 + 9);
  }

  private static void same(Path wanted, Path got) throws IOException {
    try (var files = Files.list(wanted)) {
      List<Path> names = files.map(Path::getFileName).toList();
      assertThat(names).isNotEmpty();
      for (Path name : names) {
        assertThat(got.resolve(name)).hasSameBinaryContentAs(wanted.resolve(name));
      }
      assertThat(got.toFile().list()).hasSize(names.size());
    }
  }

  /** The lines without what a clock or an allocator said. */
  private static List<ObjectNode> metrics(Path output) throws IOException {
    var lines = new ArrayList<ObjectNode>();
    for (String line : Files.readAllLines(output.resolve("metrics.jsonl"))) {
      var values = (ObjectNode) new JsonMapper().readTree(line);
      values.remove(List.of("tokens_per_s", "step_s", "memory"));
      lines.add(values);
    }
    return lines;
  }
}
