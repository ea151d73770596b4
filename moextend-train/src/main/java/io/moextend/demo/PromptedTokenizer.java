package io.moextend.demo;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/**
 * A tokenizer for prompted tasks with T5's marks: 0 pads, 1 ends, 2 is any unknown word, then the
 * mark of a word that is left out, then each word of the texts and prompts.
 */
final class PromptedTokenizer {
  /** In the place of a word that is to be guessed. */
  static final String LEFT_OUT = "<extra_id_0>";

  private static final List<String> MARKS = List.of("<pad>", "</s>", "<unk>", LEFT_OUT);

  private PromptedTokenizer() {}

  private static List<String> tokens() {
    Stream<String> asked =
        Arrays.stream(PromptedTask.values())
            .flatMap(task -> Stream.of(task.prompts(), task.heldOutPrompts()))
            .flatMap(List::stream)
            .flatMap(prompt -> Stream.of(prompt.split(" ")))
            .filter(word -> !word.startsWith("{"));
    return Stream.of(MARKS.stream(), PromptedText.vocabulary(), asked)
        .flatMap(words -> words)
        .distinct()
        .toList();
  }

  /** Rows that a model's embedding needs. */
  static int vocabularySize() {
    return tokens().size();
  }

  /** Writes tokenizer.json and tokenizer_config.json into a folder that exists. */
  static void write(Path folder) throws IOException {
    Map<String, Object> settings = new LinkedHashMap<>();
    settings.put("tokenizer_class", "PreTrainedTokenizerFast");
    settings.put("pad_token", "<pad>");
    settings.put("eos_token", "</s>");
    settings.put("unk_token", "<unk>");
    settings.put("model_max_length", 512);
    new WordLevelFiles(tokens(), MARKS, "<unk>", null, settings).write(folder);
  }
}
