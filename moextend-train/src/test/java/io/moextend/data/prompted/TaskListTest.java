package io.moextend.data.prompted;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.Golden;
import io.moextend.data.DataException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TaskListTest {
  @TempDir Path folder;

  private static TaskList shipped(String name) {
    return TaskList.read(Golden.root().resolveSibling("configs/mov/" + name), null);
  }

  private TaskList list(String text) throws IOException {
    return TaskList.read(Files.writeString(folder.resolve("tasks.yaml"), text), null);
  }

  @Test
  void t0IsTrainedOn313TasksOf38DatasetsWhoseRatesAddUp() {
    TaskList list = shipped("t0_train.yaml");
    assertThat(list.entries()).extracting(TaskList.Entry::name).hasSize(38).doesNotHaveDuplicates();
    assertThat(list.templates()).isEqualTo(313);
    assertThat(list.rates()).isEqualTo(17_277_798);
    assertThat(list.split()).isEqualTo("train");
  }

  @Test
  void t0IsEvaluatedOn111TasksOfWhichAnliHasThreeRounds() {
    TaskList list = shipped("t0_eval.yaml");
    assertThat(list.templates()).isEqualTo(111);
    Map<String, Integer> byGroup =
        list.entries().stream()
            .collect(
                Collectors.groupingBy(
                    e -> e.group() == null ? e.name() : String.valueOf(e.group()),
                    Collectors.summingInt(TaskList.Entry::count)));
    assertThat(byGroup).hasSize(8).containsEntry("anli", 45).containsEntry("hellaswag", 4);
    assertThat(list.split()).isEqualTo("validation");
    assertThatThrownBy(list::rates).isInstanceOf(DataException.class).hasMessageContaining("cap");
  }

  @ParameterizedTest
  @CsvSource({
    "quarel, 5, 1941, 1941",
    "gigaword, 9, 3803957, 55555",
    "yelp, 7, 650000, 71428",
    "edge, 3, 500000, 500000",
    "beyond, 3, 500001, 166666",
  })
  void aTemplateIsDrawnByItsDatasetsSizeUpToAShareOfTheCap(
      String name, int templates, long examples, double rate) {
    var entry =
        new TaskList.Entry(name, templates, examples, null, null, null, List.of("x"), null, null);
    assertThat(new TaskList.Task(name, entry, List.of(), 1).rate(500_000L, 7)).isEqualTo(rate);
  }

  @Test
  void foldersAreFoundByPatternWithoutTheRowsForRanking() throws IOException {
    Path cache = Files.createDirectories(folder.resolve("cache"));
    for (String task : List.of("tiny_copy_first", "tiny_copy_second", "tiny_pick_score_eval")) {
      Files.createDirectory(cache.resolve(task));
    }
    Files.createFile(cache.resolve("texts.jsonl"));
    Files.writeString(
        folder.resolve("tasks.yaml"),
        """
        cap: 10
        tasks:
        - {name: tiny/copy, templates: 2, examples: 37, folders: ["tiny_copy_*"]}
        - {name: tiny/pick, folders: ["tiny_pick_*_eval", "tiny_pick_score_eval"], rate: 2.5}
        - {name: films, templates: 3, files: [texts.jsonl]}
        """);
    TaskList list = TaskList.read(folder.resolve("tasks.yaml"), cache);
    List<TaskList.Task> tasks = list.tasks();
    assertThat(tasks)
        .extracting(TaskList.Task::name)
        .containsExactly("tiny_copy_first", "tiny_copy_second", "tiny_pick_score_eval", "films");
    assertThat(tasks.get(0).rate(list.cap(), 37)).as("37 > 10, shared by 2").isEqualTo(5);
    assertThat(tasks.get(2).rate(list.cap(), 1)).isEqualTo(2.5);
    assertThat(tasks.get(3).paths()).containsExactly(cache.resolve("texts.jsonl"));
    assertThat(tasks.get(3).rate(list.cap(), 21)).as("7 examples under 3 templates").isEqualTo(21);
  }

  @Test
  void aTaskMayNameItsFieldsAndItsFilesFollowEachOther() throws IOException {
    Files.writeString(folder.resolve("a.jsonl"), "{\"prompt\": \"p\", \"targets\": \"a\"}");
    Files.writeString(folder.resolve("b.jsonl"), "{\"prompt\": \"q\", \"targets\": \"b\"}\n");
    TaskList list =
        list("cap: 9\ntasks: [{name: a, files: [a.jsonl, b.jsonl], fields: {inputs: prompt}}]");
    try (Mixture mixture = Mixture.open(list, folder)) {
      Mixture.Part part = mixture.parts().getFirst();
      assertThat(part.rate()).as("counted").isEqualTo(2);
      assertThat(part.examples().read(1).inputs().text()).isEqualTo("q");
      assertThat(part.examples().read(1).where()).endsWith("b.jsonl: example 1");
    }
  }

  @Test
  void aPatternStandsForTheFilesOfItsFolderByName() throws IOException {
    Path data = Files.createDirectories(folder.resolve("data"));
    for (String name : List.of("b-1.jsonl", "a.jsonl", "b-0.jsonl", "c.json")) {
      Files.createFile(data.resolve(name));
    }
    Files.createDirectories(data.resolve("d.jsonl"));
    TaskList list =
        list("tasks: [{name: a, files: [\"data/b-*.jsonl\", \"data/*.jsonl\", data/c.json]}]");
    assertThat(list.tasks().getFirst().paths())
        .extracting(path -> folder.relativize(path).toString())
        .containsExactly("data/b-0.jsonl", "data/b-1.jsonl", "data/a.jsonl", "data/c.json");
    TaskList none = list("tasks: [{name: a, files: [\"data/x*\"]}]");
    assertThatThrownBy(none::tasks)
        .isInstanceOf(DataException.class)
        .hasMessageContaining("task a: no file is called " + data.resolve("x*") + "; put it there");
  }

  @Test
  void aNumberOfFoldersOtherThanOfTemplatesIsRefused() throws IOException {
    TaskList list =
        list(
            "root: "
                + Golden.path("prompted/cache").toAbsolutePath()
                + "\ntasks:\n"
                + "- {name: copy, templates: 3, folders: [\"tiny_copy_*\"]}\n");
    assertThatThrownBy(list::tasks)
        .isInstanceOf(DataException.class)
        .hasMessageContaining("copy has 3 templates, but 2 folders [tiny_copy_*] are in");
  }

  @Test
  void aFileIsLookedForInTheRootThatTheUserNamesAndNowhereElse() throws IOException {
    Path data = Files.createDirectories(folder.resolve("data"));
    Path file = Files.writeString(data.resolve("a.jsonl"), "{}");
    Path list =
        Files.writeString(folder.resolve("tasks.yaml"), "tasks: [{name: a, files: [a.jsonl]}]");
    assertThat(TaskList.read(list, data).tasks().getFirst().paths()).containsExactly(file);
    assertThatThrownBy(TaskList.read(list, null)::tasks)
        .isInstanceOf(DataException.class)
        .hasMessage(
            list
                + ": task a: "
                + folder.resolve("a.jsonl")
                + " is missing; put it there, or name the folder the tasks' files lie in: data.root of a run, --root of evaluate");
    for (String outside : List.of("../data/a.jsonl", "x/../../b", file.toString())) {
      Files.writeString(list, "tasks: [{name: a, files: ['%s']}]".formatted(outside));
      Path root = Files.createDirectories(folder.resolve("other"));
      assertThatThrownBy(TaskList.read(list, root)::tasks)
          .isInstanceOf(DataException.class)
          .hasMessageContaining(list + ": task a: " + outside + " leaves the folder " + root);
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "tasks: []                                          | there are no tasks",
        "'tasks: [{name: a}]'                               | name either its folders or its files",
        "'tasks: [{name: a, files: [b], folders: [c]}]'     | name either its folders or its files",
        "'tasks: [{files: [b]}]'                            | a task has no name",
        "'tasks: [{name: a, files: [b], templates: 0}]'     | templates=0",
        "'tasks: [{name: a, files: [b], rate: -1}]'         | rate=-1.0 must be positive",
        "'tasks: [{name: a, files: [b], classes: 1}]'       | classes=1",
        "'tasks: [{name: a, files: [b], examples: 0}]'      | examples=0",
        "'tasks: [{name: a, files: [b], size: 3}]'          | size",
        "'tasks: [{name: a, files: [b], templates: 1.5}]'   | tasks[0].templates",
        "'tasks: [{name: a, name: b, files: [b]}]'          | name",
        "'a list'                                           | tasks.yaml",
      })
  void aWrongListIsNamedWithItsTask(String text, String fault) {
    assertThatThrownBy(() -> list(text))
        .isInstanceOf(DataException.class)
        .hasMessageContaining("tasks.yaml")
        .hasMessageContaining(fault);
  }
}
