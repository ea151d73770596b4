package io.moextend.stage;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

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

  /**
   * Folders whose files go along with a model that was made of these, in order: what lies in a
   * later one counts.
   *
   * @param tower null where there is none of its own
   * @param tokenizer a file or its folder; null where the base's counts
   */
  public static List<Path> folders(@Nullable Path tower, Path base, @Nullable Path tokenizer) {
    var folders = new ArrayList<Path>();
    if (tower != null) {
      folders.add(tower);
    }
    folders.add(base);
    if (tokenizer != null) {
      folders.add(Files.isDirectory(tokenizer) ? tokenizer : tokenizer.resolveSibling("."));
    }
    return folders;
  }

  /** Copies those that there are, over what is there already. */
  public static void copy(Path from, Path to) throws IOException {
    for (String name : NAMES) {
      Path file = from.resolve(name);
      if (Files.isRegularFile(file)) {
        Files.copy(file, to.resolve(name), StandardCopyOption.REPLACE_EXISTING);
      }
    }
  }
}
