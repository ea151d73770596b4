package io.moextend.demo;

import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A tokenizer with one token for each word, as tokenizer.json and tokenizer_config.json of the
 * Hugging Face tokenizers library. Text is put in lower case and split into words and signs.
 *
 * @param tokens in the order of their ids
 * @param marks those that are no words; such that begin with a bracket are shown when decoded
 * @param unknown of the marks, what any other word is
 * @param postProcessor what is put around a text; null = nothing
 * @param settings tokenizer_config.json
 */
record WordLevelFiles(
    List<String> tokens,
    List<String> marks,
    String unknown,
    @Nullable Map<String, Object> postProcessor,
    Map<String, Object> settings) {
  /** Writes both files into a folder that exists. */
  void write(Path folder) throws IOException {
    JsonMapper json = JsonMapper.builder().enable(SerializationFeature.INDENT_OUTPUT).build();
    Files.write(folder.resolve("tokenizer.json"), json.writeValueAsBytes(definition()));
    Files.write(folder.resolve("tokenizer_config.json"), json.writeValueAsBytes(settings));
  }

  private Map<String, Object> definition() {
    Map<String, Object> root = new LinkedHashMap<>();
    root.put("version", "1.0");
    root.put("truncation", null);
    root.put("padding", null);
    root.put("added_tokens", addedTokens());
    root.put("normalizer", Map.of("type", "Lowercase"));
    root.put("pre_tokenizer", Map.of("type", "Whitespace"));
    root.put("post_processor", postProcessor);
    root.put("decoder", null);
    Map<String, Object> model = new LinkedHashMap<>();
    model.put("type", "WordLevel");
    Map<String, Integer> vocabulary = new LinkedHashMap<>();
    for (int id = 0; id < tokens.size(); id++) {
      vocabulary.put(tokens.get(id), id);
    }
    model.put("vocab", vocabulary);
    model.put("unk_token", unknown);
    root.put("model", model);
    return root;
  }

  private List<Map<String, Object>> addedTokens() {
    List<Map<String, Object>> added = new ArrayList<>();
    for (int id = 0; id < tokens.size(); id++) {
      String content = tokens.get(id);
      if (marks.contains(content)) {
        Map<String, Object> token = new LinkedHashMap<>();
        token.put("id", id);
        token.put("content", content);
        token.put("single_word", false);
        token.put("lstrip", false);
        token.put("rstrip", false);
        token.put("normalized", false);
        // the marks of an instruction are text as in the published models: decoding shows them
        token.put("special", !content.startsWith("["));
        added.add(token);
      }
    }
    return added;
  }
}
