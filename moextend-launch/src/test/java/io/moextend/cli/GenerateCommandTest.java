package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.moextend.Golden;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class GenerateCommandTest {
  @TempDir Path folder;

  private Path model;

  @BeforeEach
  void makeModel() {
    model = folder.resolve("model");
    Ran made =
        Ran.moextend(
            "random-model",
            "--config",
            Golden.path("moextend/moextend_ft_rand/config.json"),
            "--tokenizer",
            Golden.path("moextend/tokenizer_tiny"),
            "--output",
            model);
    assertThat(made.code()).as(made.err()).isZero();
  }

  private Ran generate(Object... more) {
    Object[] words = new Object[more.length + 5];
    System.arraycopy(
        new Object[] {"generate", "--model", model, "--prompt", "What is this?"}, 0, words, 0, 5);
    System.arraycopy(more, 0, words, 5, more.length);
    return Ran.moextend(words);
  }

  @Test
  void theAnswerIsAllOfTheOutputAndTheRatesAreBesideIt() {
    Ran ran = generate("--max-new-tokens", 20);
    assertThat(ran.code()).as(ran.err()).isZero();
    assertThat(ran.out().strip()).isNotEmpty();
    assertThat(ran.out()).isEqualTo(ran.out().strip() + System.lineSeparator());
    assertThat(ran.err().lines()).hasSize(1);
    assertThat(ran.err())
        .matches(
            "prompt of \\d+ tokens in [0-9.]+ s \\([0-9.]+ tokens/s\\), then \\d+ new tokens in [0-9.]+ s"
                + " \\([0-9.]+ tokens/s\\)\\R");
    assertThat(generate("--max-new-tokens", 20, "--backend", "nd4j").out()).isEqualTo(ran.out());
  }

  @Test
  void aLongerAnswerBeginsLikeAShorterOne() {
    String five = generate("--max-new-tokens", 5).out().strip();
    String twenty = generate("--max-new-tokens", 20).out().strip();
    assertThat(twenty).startsWith(five).hasSizeGreaterThan(five.length());
  }

  @Test
  void moreNewTokensThanTheModelHasPositionsForAreRefused() throws Exception {
    Ran ran = generate("--max-new-tokens", 100_000);
    assertThat(ran.code()).isEqualTo(2);
    assertThat(ran.err().strip().lines()).hasSize(1);
    JsonNode config = new JsonMapper().readTree(Files.readString(model.resolve("config.json")));
    assertThat(ran.err())
        .contains("max_position_embeddings=" + config.get("max_position_embeddings").intValue())
        .contains("ask for fewer new tokens");
    assertThat(generate("--max-new-tokens", 0).err()).contains("--max-new-tokens");
  }
}
