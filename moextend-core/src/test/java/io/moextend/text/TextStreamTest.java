package io.moextend.text;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.Golden;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TextStreamTest {
  private static List<String> pieces(Tokenizer tokenizer, int[] ids) {
    var pieces = new ArrayList<String>();
    var stream = new TextStream(tokenizer, pieces::add);
    for (int id : ids) {
      stream.add(id);
    }
    stream.end();
    return pieces;
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "Hello world",
        "  spaces   before, between  and behind   ",
        "\u00dcberall \u4f60\u597d \ud83d\ude80\ud83d\ude80 \u2764\ufe0f\nand\n\n\ttabs.\n",
        "\ud83d\ude80",
        "a \ud808\udc00\ud808\udc01\u00e9b",
        " ",
        ""
      })
  void thePiecesAreTheWholeTextWithoutSpaceAtItsEnds(String text) {
    for (String file : List.of("moextend/tokenizer/tokenizer.json", "moextend/tokenizer_tiny")) {
      try (Tokenizer tokenizer = Tokenizer.open(Golden.path(file), SegmentPrefix.FIRST_ONLY)) {
        int[] ids = tokenizer.encode(text);
        List<String> pieces = pieces(tokenizer, ids);
        assertThat(String.join("", pieces)).as(file).isEqualTo(tokenizer.decode(ids).strip());
        assertThat(pieces).as(file).noneMatch(p -> p.isEmpty() || p.contains("\ufffd"));
      }
    }
  }

  @Test
  void aWordIsToldWithItsTokenAndACharacterWhenItIsWhole() {
    try (Tokenizer tokenizer =
        Tokenizer.open(
            Golden.path("moextend/tokenizer/tokenizer.json"), SegmentPrefix.FIRST_ONLY)) {
      assertThat(pieces(tokenizer, tokenizer.encode("Hello world \ud808\udc00!")))
          .containsExactly("Hello", " world", " \ud808\udc00", "!");
    }
  }

  @Test
  void bytesOfACharacterThatNeverComesAreToldAtTheEnd() {
    try (Tokenizer tokenizer =
        Tokenizer.open(
            Golden.path("moextend/tokenizer/tokenizer.json"), SegmentPrefix.FIRST_ONLY)) {
      int[] whole = tokenizer.encode("A \ud808\udc00");
      int[] cut = Arrays.copyOf(whole, whole.length - 1);
      assertThat(String.join("", pieces(tokenizer, cut))).startsWith("A").contains("\ufffd");
    }
  }
}
