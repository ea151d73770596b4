package io.moextend.text;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * The special tokens that a model's own tokenizer puts around every text.
 *
 * @param before ids in front of the text
 * @param behind ids after it
 * @param unknown what in the file is not understood; empty where all is
 */
record TokenFrame(List<Integer> before, List<Integer> behind, String unknown) {
  static final TokenFrame NONE = new TokenFrame(List.of(), List.of(), "");

  TokenFrame {
    before = List.copyOf(before);
    behind = List.copyOf(behind);
  }

  /**
   * @param processor "post_processor" of tokenizer.json
   */
  static TokenFrame of(JsonNode processor) {
    String type = processor.path("type").asText("");
    return switch (type) {
      case "", "ByteLevel" -> NONE;
      case "TemplateProcessing" -> template(processor);
      case "Sequence" -> {
        TokenFrame frame = NONE;
        for (JsonNode one : processor.path("processors")) {
          frame = of(one).around(frame);
        }
        yield frame;
      }
      default -> new TokenFrame(List.of(), List.of(), type);
    };
  }

  private static TokenFrame template(JsonNode processor) {
    var before = new ArrayList<Integer>();
    var behind = new ArrayList<Integer>();
    boolean passed = false;
    for (JsonNode piece : processor.path("single")) {
      if (piece.has("Sequence")) {
        passed = true;
      } else {
        String token = piece.path("SpecialToken").path("id").asText();
        for (JsonNode id : processor.path("special_tokens").path(token).path("ids")) {
          (passed ? behind : before).add(id.asInt());
        }
      }
    }
    return new TokenFrame(before, behind, "");
  }

  /**
   * What stands in front of a text.
   *
   * @param file the tokenizer's, for the error
   * @param bos the start token
   * @throws TextException if anything but the start token is added
   */
  int[] start(Path file, int bos) {
    boolean known = before.isEmpty() || before.equals(List.of(bos));
    if (!known || !behind.isEmpty() || !unknown.isEmpty()) {
      throw new TextException(
          "%s puts %s before each text and %s behind it%s; only its start token in front is known"
              .formatted(file, before, behind, unknown.isEmpty() ? "" : " by " + unknown));
    }
    return before.stream().mapToInt(id -> id).toArray();
  }

  private TokenFrame around(TokenFrame inner) {
    var first = new ArrayList<>(before);
    first.addAll(inner.before);
    var last = new ArrayList<>(inner.behind);
    last.addAll(behind);
    return new TokenFrame(first, last, unknown.isEmpty() ? inner.unknown : unknown);
  }
}
