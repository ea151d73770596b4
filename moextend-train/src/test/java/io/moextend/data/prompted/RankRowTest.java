package io.moextend.data.prompted;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.Golden;
import io.moextend.data.DataException;
import io.moextend.text.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RankRowTest {
  static Tokenizer tokenizer;

  @BeforeAll
  @SuppressWarnings("MustBeClosedChecker")
  static void open() {
    tokenizer = Tokenizer.open(Golden.path("prompted/tokenizer"));
  }

  @AfterAll
  static void close() {
    tokenizer.close();
  }

  private static PromptTokens tokens() {
    return new PromptTokens(tokenizer, 128, 99, 99);
  }

  @Test
  void anExampleBecomesARowForEachOfItsChoices(@TempDir Path folder) throws IOException {
    Path file =
        Files.writeString(
            folder.resolve("a.jsonl"),
            """
            {"inputs": "Is this positive?", "targets": " yes\\n", "answer_choices": ["no", "yes"]}
            {"inputs": "Is this positive?", "targets": "maybe", "answer_choices": ["no", "yes"]}
            """);
    try (Examples examples = new ExampleFiles(ExampleFields.SEQIO, "train", folder).open(file)) {
      List<RankRow> rows = RankRow.all(examples, tokens()).toList();
      assertThat(rows).extracting(RankRow::example).containsExactly(0L, 0L, 1L, 1L);
      assertThat(rows).extracting(RankRow::choice).containsExactly(0, 1, 0, 1);
      assertThat(rows).extracting(RankRow::correct).containsExactly(false, true, false, false);
      assertThat(rows.get(1).ids().targets()).startsWith(tokenizer.encode("yes")).endsWith(1);
      assertThat(rows.get(1).ids().inputs()).isEqualTo(tokenizer.encode("Is this positive?"));
    }
  }

  @Test
  void rowsThatAFileHasForEachChoiceAreTakenAsTheyAre() {
    try (Examples examples =
        new ExampleFiles(ExampleFields.SEQIO, "validation", Path.of("unused"))
            .open(Golden.path("prompted/cache/tiny_pick_score_eval"))) {
      List<RankRow> rows = RankRow.all(examples, tokens()).toList();
      assertThat(rows).hasSize(6);
      assertThat(rows.get(3).example()).isEqualTo(1);
      assertThat(rows.get(3).correct()).isTrue();
      assertThat(rows.get(3).ids().targets()).containsExactly(8, 1);
    }
  }

  @Test
  void anExampleWithoutChoicesCannotBeRanked() {
    try (Examples examples =
        new ExampleFiles(ExampleFields.SEQIO, "train", Path.of("unused"))
            .open(Golden.path("prompted/cache/tiny_copy_first"))) {
      assertThatThrownBy(() -> RankRow.all(examples, tokens()).toList())
          .isInstanceOf(DataException.class)
          .hasMessageContaining("example 1: it has no answer choices");
    }
  }
}
