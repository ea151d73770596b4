package io.moextend.stage;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;

/** What lies beside the weights in a model's folder and belongs to every model made from it. */
public final class CompanionFiles {
  private static final List<String> NAMES =
      List.of(
          "tokenizer.json",
          "tokenizer.model",
          "tokenizer_config.json",
          "special_tokens_map.json",
          "added_tokens.json",
          "chat_template.jinja",
          "generation_config.json",
          "preprocessor_config.json");

  private CompanionFiles() {}

  /** Copies those that there are, over those that {@code to} has. */
  public static void copy(Path from, Path to) throws IOException {
    for (String name : NAMES) {
      Path file = from.resolve(name);
      if (Files.isRegularFile(file)) {
        Files.copy(file, to.resolve(name), StandardCopyOption.REPLACE_EXISTING);
      }
    }
  }
}
