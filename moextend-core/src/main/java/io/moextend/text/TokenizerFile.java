package io.moextend.text;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** tokenizer.json and, where it lies beside, tokenizer_config.json. */
final class TokenizerFile {
  private static final long LARGEST_BYTES = 256L << 20;
  private static final String SPACE = "\u2581";

  private final Path file;
  private final ObjectNode json;
  private final @Nullable JsonNode config;

  private TokenizerFile(Path file, ObjectNode json, @Nullable JsonNode config) {
    this.file = file;
    this.json = json;
    this.config = config;
  }

  /**
   * @param path tokenizer.json, or the folder that holds it
   */
  static TokenizerFile read(Path path) {
    Path file = Files.isDirectory(path) ? path.resolve("tokenizer.json") : path;
    if (!(tree(file) instanceof ObjectNode json) || !json.path("model").isObject()) {
      throw new TextException(
          file + " has no \"model\"; it should be the tokenizer.json of a Hugging Face model");
    }
    Path beside = file.resolveSibling("tokenizer_config.json");
    return new TokenizerFile(file, json, Files.exists(beside) ? tree(beside) : null);
  }

  private static JsonNode tree(Path file) {
    try {
      if (Files.size(file) > LARGEST_BYTES) {
        throw new TextException(
            "%s has %d bytes, more than the %d that a tokenizer may have; is it the right file?"
                .formatted(file, Files.size(file), LARGEST_BYTES));
      }
      return JsonMapper.builder().build().readTree(Files.readAllBytes(file));
    } catch (JsonProcessingException e) {
      throw new TextException(
          "%s is no JSON: %s; copy it anew".formatted(file, e.getOriginalMessage()), e);
    } catch (IOException e) {
      throw new TextException(
          "%s cannot be read (%s); name a tokenizer.json or the folder of a model that has one"
              .formatted(file, e.getMessage()),
          e);
    }
  }

  Path file() {
    return file;
  }

  /**
   * What tokenizer_config.json says: "legacy" of a Llama tokenizer, where absent true. Without that
   * file the pipeline of tokenizer.json stands as it is, as for Hugging Face's fast tokenizers.
   */
  SegmentPrefix prefix() {
    if (config == null || !config.path("tokenizer_class").asText("").startsWith("Llama")) {
      return SegmentPrefix.AS_FILE;
    }
    return config.path("legacy").asBoolean(true) ? SegmentPrefix.LEGACY : SegmentPrefix.FIRST_ONLY;
  }

  /**
   * The file's text with what would change ids behind our back taken out: truncation, padding,
   * added start tokens and, but for {@link SegmentPrefix#AS_FILE}, its own prefix rule.
   */
  String pipeline(SegmentPrefix prefix) {
    ObjectNode edited = json.deepCopy();
    edited.putNull("truncation");
    edited.putNull("padding");
    edited.putNull("post_processor");
    if (prefix != SegmentPrefix.AS_FILE) {
      requirePieces(prefix);
      edited.putNull("pre_tokenizer");
      ObjectNode replace = JsonNodeFactory.instance.objectNode();
      replace.put("type", "Replace").putObject("pattern").put("String", " ");
      edited.set("normalizer", replace.put("content", SPACE));
    }
    return edited.toString();
  }

  private void requirePieces(SegmentPrefix prefix) {
    JsonNode model = json.path("model");
    String type = model.path("type").asText("BPE");
    if (!type.equals("BPE") || !model.path("vocab").path(SPACE).isInt()) {
      throw new TextException(
          "%s holds a %s model without sentencepiece's space sign, so the prefix %s means nothing"
                  .formatted(file, type, prefix)
              + " to it; use as-file");
    }
  }

  /**
   * What Hugging Face puts around every text. Its Llama tokenizers go by "add_bos_token" (absent:
   * true) and "add_eos_token" (absent: false) of the config, whatever tokenizer.json holds.
   */
  TokenFrame frame() {
    if (config == null || !config.path("tokenizer_class").asText("").startsWith("Llama")) {
      return TokenFrame.of(json.path("post_processor"));
    }
    Integer start = special("bos_token", "<s>");
    Integer end = special("eos_token", "</s>");
    boolean starts = start != null && config.path("add_bos_token").asBoolean(true);
    boolean ends = end != null && config.path("add_eos_token").asBoolean(false);
    return new TokenFrame(starts ? List.of(start) : List.of(), ends ? List.of(end) : List.of(), "");
  }

  /** Added tokens by their text. */
  Map<String, Integer> addedTokens() {
    Map<String, Integer> added = new LinkedHashMap<>();
    for (JsonNode token : json.path("added_tokens")) {
      added.put(token.path("content").asText(), token.path("id").asInt(-1));
    }
    return added;
  }

  /** One more than the largest id. */
  int vocabularySize() {
    JsonNode vocabulary = json.path("model").path("vocab");
    int largest = vocabulary.isArray() ? vocabulary.size() - 1 : -1;
    if (vocabulary.isObject()) {
      for (JsonNode id : vocabulary) {
        largest = Math.max(largest, id.asInt());
      }
    }
    for (int id : addedTokens().values()) {
      largest = Math.max(largest, id);
    }
    return largest + 1;
  }

  /**
   * Id of a special token.
   *
   * @param role "bos_token", as tokenizer_config.json names it
   * @param usual its text where there is no tokenizer_config.json
   * @return null where the config says null or leaves it out
   */
  @Nullable Integer special(String role, String usual) {
    String content = usual;
    if (config != null) {
      JsonNode said = config.path(role);
      JsonNode text = said.isObject() ? said.path("content") : said;
      if (!text.isTextual()) {
        return null;
      }
      content = text.asText();
    }
    Integer added = addedTokens().get(content);
    if (added != null) {
      return added;
    }
    JsonNode id = json.path("model").path("vocab").path(content);
    if (id.isInt()) {
      return id.asInt();
    }
    throw new TextException(
        "%s has no token %s, which is its %s; is tokenizer_config.json of another model?"
            .formatted(file, content, role));
  }
}
