package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.config.ConfigException;
import io.moextend.train.AdaptConfig;
import io.moextend.train.Progress;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Where the tasks of a run's list lie, and that a run goes on with the tasks it began with. */
class AdaptMixtureTest extends AdaptRunsTested {
  private static final String STEPS = "training.max_steps=2";

  /** The list, and where a run with it stopped. */
  private static Path list;

  private static Path checkpoint;

  @BeforeAll
  static void runOnce() throws IOException {
    list = Files.createDirectory(shared.resolve("lists")).resolve("tasks.yaml");
    Files.copy(runs.world().adaptation(), list);
    String[] settings = {STEPS, "data.mixture=" + list, "data.root=" + runs.world().root()};
    checkpoint = AdaptRuns.trained(runs.config(shared, "lora", settings)).resolve("checkpoint-2");
  }

  /** A copy of the tasks, and of their list, in a folder of their own. */
  private Path copied(String name) {
    Path data = folder.resolve(name);
    Workspace.copy(runs.world().root(), data);
    return data;
  }

  private AdaptConfig config(Path list, String... more) throws IOException {
    return runs.config(folder, "lora", AdaptRuns.and(more, STEPS, "data.mixture=" + list));
  }

  @Test
  void aListIsPointedAtDataThatLieElsewhere() throws IOException {
    Path lone = Files.createDirectories(folder.resolve("lists")).resolve("tasks.yaml");
    Files.copy(runs.world().adaptation(), lone);
    Path usual = AdaptRuns.trained(config(runs.world().adaptation()));
    String[] settings = {
      "data.root=" + runs.world().root(),
      "data.eval_mixture=" + Files.copy(runs.world().examination(), lone.resolveSibling("e.yaml")),
      "evaluation.eval_steps=2"
    };
    Path pointed = AdaptRuns.trained(config(lone, settings));
    assertThat(AdaptRuns.weights(pointed)).hasSameBinaryContentAs(AdaptRuns.weights(usual));
    assertThat(Files.readString(pointed.resolve("metrics.jsonl"))).contains("\"eval_loss\":");
    assertThat(Files.readString(pointed.resolve("config.yaml")))
        .contains("root: " + runs.world().root());
  }

  @Test
  void dataThatAreNotThereAreNamedWithTheMendAndNothingIsLeft() throws IOException {
    Path lone = Files.copy(runs.world().adaptation(), folder.resolve("tasks.yaml"));
    Path file = runs.file(folder, "lora");
    Path output = folder.resolve("never");
    Ran ran =
        Ran.moextend(
            "train",
            "--quiet",
            "--stage",
            "adapt",
            "--config",
            file,
            "--set",
            "data.mixture=" + lone,
            "--set",
            "checkpoints.output_dir=" + output);
    assertThat(ran.code()).as(ran.err()).isEqualTo(2);
    assertThat(ran.err().strip().lines()).hasSize(1);
    assertThat(ran.err())
        .contains(lone + ": task ", folder + "/", ".jsonl is missing; ", "data.root of a run");
    assertThat(output.resolve("metrics.jsonl")).doesNotExist();
  }

  @Test
  void dataMayMoveWhileARunIsStopped() throws IOException {
    Path list = Files.copy(runs.world().adaptation(), folder.resolve("tasks.yaml"));
    AdaptConfig first =
        config(list, "data.root=" + runs.world().root(), "checkpoints.save_steps=1");
    Path output = AdaptRuns.trained(first);
    Path again =
        AdaptRuns.trained(
            config(
                list,
                "data.root=" + copied("moved"),
                "checkpoints.resume_from_checkpoint=" + output.resolve("checkpoint-1")));
    assertThat(AdaptRuns.weights(again)).hasSameBinaryContentAs(AdaptRuns.weights(output));
  }

  /** As on two hosts one of which has an older copy. */
  @Test
  void ranksThatFindOtherFilesAreRefused() throws IOException {
    Path other = copied("other");
    Path file = other.resolve(firstTask(Files.readString(runs.world().adaptation())) + ".jsonl");
    Files.writeString(file, Files.readString(file) + "\n");
    Path lone = Files.copy(runs.world().adaptation(), folder.resolve("tasks.yaml"));
    Path output = folder.resolve("two");
    List<AdaptConfig> configs = new ArrayList<>();
    for (Path root : List.of(runs.world().root(), other)) {
      configs.add(config(lone, "data.root=" + root, "checkpoints.output_dir=" + output));
    }
    var silent = new PrintStream(PrintStream.nullOutputStream());
    assertThatThrownBy(
            () ->
                ThreadedRuns.train(
                    2,
                    group ->
                        new AdaptRun(
                                configs.get(group.rank()), group, silent, Progress.Display.QUIET)
                            .run()))
        .cause()
        .isInstanceOf(ConfigException.class)
        .hasMessageStartingWith("data.mixture files=")
        .hasMessageContaining("rank 1 has other data than rank 0; give every host the same files");
    assertThat(output.resolve("metrics.jsonl")).doesNotExist();
  }

  private static String firstTask(String list) {
    return list.lines()
        .filter(line -> line.contains("\"name\""))
        .findFirst()
        .orElseThrow()
        .replaceAll(".*: \"(.*)\".*", "$1");
  }

  /** The first task's file is the list's first. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "cap        | data.mixture rates=",
        "rate       | data.mixture rates=",
        "name       | data.mixture tasks=",
        "order      | data.mixture tasks=",
        "fewer      | data.mixture tasks=",
        "another    | data.mixture examples=",
        "longer     | data.mixture files=",
        "file       | data.mixture files=",
        "list       | data.mixture=",
      })
  void aRunDoesNotGoOnWithOtherTasks(String change, String named) throws IOException {
    Path data = copied("data");
    Files.writeString(list, Files.readString(runs.world().adaptation()));
    Path now = changed(change, data, list);
    AdaptConfig again =
        config(
            now,
            "data.root=" + data,
            "checkpoints.output_dir=" + folder.resolve("again"),
            "checkpoints.resume_from_checkpoint=" + checkpoint);
    assertThatThrownBy(() -> AdaptRuns.trained(again))
        .isInstanceOf(ConfigException.class)
        .hasMessageStartingWith(named)
        .hasMessageContaining(": was ")
        .hasMessageContaining(
            "in " + checkpoint + "; set it back to go on with that run, or start");
  }

  private static Path changed(String change, Path data, Path list) throws IOException {
    String text = Files.readString(list);
    List<String> names =
        text.lines().filter(line -> line.contains("\"name\"")).map(String::strip).toList();
    String first = names.getFirst().replaceAll(".*: \"(.*)\".*", "$1");
    String second = names.get(1).replaceAll(".*: \"(.*)\".*", "$1");
    Path file = data.resolve(first + ".jsonl");
    String examples = Files.readString(file);
    switch (change) {
      case "cap" -> Workspace.change(list, "500000", "3");
      case "rate" ->
          Workspace.change(list, names.getFirst(), "\"rate\" : 2.5, " + names.getFirst());
      case "name" -> Workspace.change(list, names.getFirst(), "\"name\" : \"other\",");
      case "order" -> {
        String swapped = text.replace(first, "@").replace(second, first).replace("@", second);
        Files.writeString(list, swapped);
      }
      case "fewer" -> {
        int from = text.indexOf('{', text.indexOf("tasks"));
        int until = text.indexOf('{', from + 1);
        Files.writeString(list, text.substring(0, from) + text.substring(until));
      }
      case "another" ->
          Files.writeString(
              file, examples.lines().findFirst().orElseThrow(), StandardOpenOption.APPEND);
      case "longer" -> Files.writeString(file, examples + "\n");
      case "file" -> {
        Files.copy(file, data.resolve("renamed.jsonl"));
        Workspace.change(list, "\"" + first + ".jsonl\"", "\"renamed.jsonl\"");
      }
      default -> {
        return Files.copy(list, data.resolve("other.yaml"));
      }
    }
    return list;
  }
}
