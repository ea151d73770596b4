package io.moextend.data.prompted;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.moextend.Golden;
import io.moextend.data.DataException;
import io.moextend.text.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class PromptTokensTest {
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

  private static PromptTokens tokens(int inputs, int targets) {
    return new PromptTokens(tokenizer, 128, inputs, targets);
  }

  private static int[] expected(String text) throws IOException {
    for (JsonNode said :
        new ObjectMapper()
            .readTree(Files.readString(Golden.path("prompted/tokenizer/expected.json")))) {
      if (said.get("text").asText().equals(text)) {
        return new ObjectMapper().treeToValue(said.get("ids"), int[].class);
      }
    }
    throw new IllegalArgumentException(text);
  }

  @Test
  void t5sTokenizerGivesTheIdsOfThePublishedLibrary() throws IOException {
    for (String text :
        List.of("Is this positive?", "two  spaces\nand a line", "fill <extra_id_0> in", "é ü 日")) {
      TokenPair pair = tokens(99, 99).encode(PromptedExample.of("here", text, "yes")).orElseThrow();
      assertThat(pair.inputs()).as(text).isEqualTo(expected(text));
    }
  }

  @Test
  void targetsEndAndInputsDoNot() throws IOException {
    TokenPair pair = tokens(99, 99).encode(PromptedExample.of("here", "yes", "yes")).orElseThrow();
    int[] yes = expected("yes");
    assertThat(pair.inputs()).isEqualTo(yes);
    assertThat(pair.targets()).startsWith(yes).endsWith(1).hasSize(yes.length + 1);
  }

  @Test
  void aTargetThatIsTooLongLosesItsEnd() throws IOException {
    int[] ids = expected("Is this positive?");
    PromptedExample example = PromptedExample.of("here", "Is this positive?", "Is this positive?");
    TokenPair cut = tokens(3, ids.length).encode(example).orElseThrow();
    assertThat(cut.inputs()).containsExactly(ids[0], ids[1], ids[2]);
    assertThat(cut.targets()).isEqualTo(ids);
    assertThat(tokens(3, ids.length + 1).encode(example).orElseThrow().targets()).endsWith(1);
  }

  @Test
  void anEmptyTargetIsWrittenOutAndAnEmptyInputLeavesTheExampleOut() throws IOException {
    assertThat(tokens(9, 99).encode(PromptedExample.of("here", "yes", "")).orElseThrow().targets())
        .startsWith(expected("<NO LABEL>"))
        .endsWith(1);
    assertThat(tokens(9, 9).encode(PromptedExample.of("here", "", "yes"))).isEmpty();
    assertThat(tokens(9, 9).encode(PromptedExample.of("here", "", ""))).isEmpty();
    assertThat(tokens(9, 9).encode(PromptedExample.of("here", " \n", "yes"))).isEmpty();
    Side none = new Side("text", new int[0]);
    assertThat(
            tokens(9, 9).encode(new PromptedExample("here", Side.of("yes"), none, List.of(), null)))
        .isEmpty();
  }

  @Test
  void idsAreTakenAsTheyAre() {
    var example =
        new PromptedExample(
            "here",
            new Side("other words", new int[] {5, 6, 7, 8}),
            new Side(null, new int[] {9, 10}),
            List.of(),
            null);
    TokenPair pair = tokens(3, 9).encode(example).orElseThrow();
    assertThat(pair.inputs()).containsExactly(5, 6, 7);
    assertThat(pair.targets()).as("no end is added").containsExactly(9, 10);
    for (int id : new int[] {0, 128}) {
      var foreign =
          new PromptedExample(
              "here", new Side(null, new int[] {id}), Side.of("yes"), List.of(), null);
      assertThatThrownBy(() -> tokens(9, 9).encode(foreign))
          .isInstanceOf(DataException.class)
          .hasMessage(
              "here: id %d is none of the model's 1 to 127; was it made with another tokenizer?"
                  .formatted(id));
    }
  }

  @Test
  void anotherPaddingThanZeroIsRefused() {
    try (Tokenizer other = Tokenizer.open(Golden.path("moextend/tokenizer_tiny"))) {
      assertThatThrownBy(() -> new PromptTokens(other, 128, 9, 9))
          .isInstanceOf(DataException.class)
          .hasMessageContaining("encoder-decoder models here pad with 0");
    }
  }
}
