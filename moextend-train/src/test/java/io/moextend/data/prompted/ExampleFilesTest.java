package io.moextend.data.prompted;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.Golden;
import io.moextend.data.DataException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The files are made by scripts/golden/prompted.py. */
class ExampleFilesTest {
  @TempDir Path scratch;

  private ExampleFiles files(ExampleFields fields) {
    return new ExampleFiles(fields, "train", scratch);
  }

  private Examples open(String golden) {
    return files(ExampleFields.SEQIO).open(Golden.path("prompted/" + golden));
  }

  private Path jsonl(String... lines) throws IOException {
    return Files.write(scratch.resolve("some.jsonl"), List.of(lines));
  }

  @ParameterizedTest
  @ValueSource(strings = {"none", "gzip", "snappy", "zstd"})
  void parquetOfEveryCodecIsReadInAnyOrder(String codec) throws IOException {
    try (Examples examples = open("texts." + codec + ".parquet")) {
      assertThat(examples.size()).isEqualTo(7);
      for (int i = 6; i >= 0; i--) {
        PromptedExample read = examples.read(i);
        assertThat(read.inputs().text()).isEqualTo("Is film " + i + " positive?");
        assertThat(read.targets().text()).isEqualTo(i % 2 == 0 ? "negative" : "positive");
        assertThat(read.choices()).containsExactly("negative", "positive");
        assertThat(read.where()).endsWith("texts." + codec + ".parquet: example " + (i + 1));
      }
      assertThat(scratch).as("the scratch file has no name any more").isEmptyDirectory();
    }
  }

  @Test
  void idsAndTheirTextStandSideBySide() {
    try (Examples examples = open("ids.parquet")) {
      PromptedExample first = examples.read(0);
      assertThat(first.inputs().ids()).containsExactly(3, 4, 5);
      assertThat(first.inputs().text()).isEqualTo("a b c");
      assertThat(first.targets().ids()).containsExactly(7, 1);
      assertThat(examples.read(1).ranked()).isEqualTo(new PromptedExample.Ranked(0, 1, false, 1.0));
      assertThatThrownBy(() -> examples.read(2))
          .isInstanceOf(DataException.class)
          .hasMessageContaining("ids.parquet: example 3: it has no field inputs");
    }
  }

  @Test
  void aParquetFileOfOtherTypesOrFieldsIsNamed() {
    assertThatThrownBy(() -> open("wrong_type.parquet").close())
        .isInstanceOf(DataException.class)
        .hasMessageContaining("wrong_type.parquet: example 1: inputs holds 1 fractions");
    assertThatThrownBy(
            () ->
                files(ExampleFields.COMPLETION)
                    .open(Golden.path("prompted/texts.none.parquet"))
                    .close())
        .isInstanceOf(DataException.class)
        .hasMessageContaining("texts.none.parquet has none of the fields")
        .hasMessageContaining("unrelated");
    assertThat(scratch).as("a refused file leaves nothing").isEmptyDirectory();
  }

  @Test
  void aBrokenParquetFileIsNamed() throws IOException {
    byte[] bytes = Files.readAllBytes(Golden.path("prompted/texts.snappy.parquet"));
    Path cut = Files.write(scratch.resolve("cut.parquet"), Arrays.copyOf(bytes, 900));
    assertThatThrownBy(() -> files(ExampleFields.SEQIO).open(cut).close())
        .isInstanceOf(DataException.class)
        .hasMessageContaining("cut.parquet");
    for (int at = 0; at < bytes.length - 8; at += 401) {
      byte[] hostile = bytes.clone();
      hostile[at] ^= 0x55;
      Path file = Files.write(scratch.resolve("hostile.parquet"), hostile);
      try (Examples read = files(ExampleFields.SEQIO).open(file)) {
        assertThat(read.size()).isPositive();
      } catch (DataException e) {
        assertThat(e).hasMessageContaining("hostile.parquet");
      }
    }
  }

  @Test
  void jsonLinesHoldTextsIdsAndBoth() throws IOException {
    Path file =
        jsonl(
            "{\"inputs\": \"a\", \"targets\": \"b\", \"answer_choices\": [\"b\", \"ü\"]}",
            "  ",
            "{\"inputs\": [3, 4], \"targets\": [5, 1], \"targets_pretokenized\": \"b\"}",
            "{\"inputs_pretokenized\": \"only\", \"targets_pretokenized\": \"texts\", \"more\": {}}",
            "{\"inputs\": [], \"targets\": \"b\"}");
    try (Examples examples = files(ExampleFields.SEQIO).open(file)) {
      assertThat(examples.size()).isEqualTo(4);
      assertThat(examples.read(0).choices()).containsExactly("b", "ü");
      assertThat(examples.read(1).inputs().ids()).containsExactly(3, 4);
      assertThat(examples.read(1).targets().text()).isEqualTo("b");
      assertThat(examples.read(2).inputs().text()).isEqualTo("only");
      assertThat(examples.read(3).inputs().ids()).isEmpty();
    }
  }

  @Test
  void fieldsHaveTheNamesTheyAreGiven() throws IOException {
    Path file = jsonl("{\"prompt\": \"a\", \"completion\": \"b\"}");
    try (Examples examples = files(ExampleFields.COMPLETION).open(file)) {
      assertThat(examples.read(0)).isEqualTo(PromptedExample.of(file + ": example 1", "a", "b"));
    }
    assertThatThrownBy(() -> files(ExampleFields.SEQIO).open(file).close())
        .isInstanceOf(DataException.class)
        .hasMessage(
            file
                + ": example 1: it has no field inputs or inputs_pretokenized, but [completion,"
                + " prompt]; name the fields as the file does");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{\"inputs\": 1.5, \"targets\": \"b\"}",
        "{\"inputs\": [\"a\", \"b\"], \"targets\": \"b\"}",
        "{\"inputs\": \"a\", \"targets\": {\"text\": \"b\"}}",
        "{\"inputs\": [3, -1], \"targets\": \"b\"}",
        "{\"inputs\": [3, 4294967296], \"targets\": \"b\"}",
        "{\"inputs\": [3, \"a\"], \"targets\": \"b\"}",
        "{\"inputs\": \"a\", \"targets\": \"b\", \"idx\": [1], \"is_correct\": true}",
        "{\"inputs\": \"a\", \"targets\": \"b\"} trailing",
        "[\"a\", \"b\"]",
        "{\"inputs\": \"a\"",
      })
  void aWrongRecordIsNamedByFileAndNumber(String line) throws IOException {
    Path file = jsonl("{\"inputs\": \"a\", \"targets\": \"b\"}", line);
    try (Examples examples = files(ExampleFields.SEQIO).open(file)) {
      assertThatThrownBy(() -> examples.read(1))
          .isInstanceOf(DataException.class)
          .hasMessageStartingWith(file + ": example 2: ");
    }
  }

  @Test
  void aFileOfNoKnownKindOrWithoutExamplesIsRefused() throws IOException {
    Path empty = jsonl("", " ");
    assertThatThrownBy(() -> files(ExampleFields.SEQIO).open(empty).close())
        .hasMessage(empty + " has no examples; is it the right file?");
    assertThatThrownBy(() -> files(ExampleFields.SEQIO).open(Path.of("a.csv")).close())
        .hasMessageStartingWith("a.csv: examples come in .jsonl, .parquet or .tfrecord files");
    assertThatThrownBy(() -> files(ExampleFields.SEQIO).open(Path.of("none.jsonl")).close())
        .hasMessageStartingWith("none.jsonl cannot be opened");
  }
}
