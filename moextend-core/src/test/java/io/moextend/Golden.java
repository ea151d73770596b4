package io.moextend;

import java.nio.file.Files;
import java.nio.file.Path;

/** Where the reference numbers lie: the folder {@code golden} of the project. */
public final class Golden {
  private Golden() {}

  /** The first folder upwards from the working directory that has {@code golden/README.md}. */
  public static Path root() {
    Path start = Path.of("").toAbsolutePath();
    for (Path at = start; at != null; at = at.getParent()) {
      Path golden = at.resolve("golden");
      if (Files.isRegularFile(golden.resolve("README.md"))) {
        return golden;
      }
    }
    throw new IllegalStateException(
        "no golden/README.md in " + start + " or above; run the tests inside the project");
  }

  /**
   * @param relative below {@link #root()}, e.g. "moextend/vision_align/meta.json"
   */
  public static Path path(String relative) {
    return root().resolve(relative);
  }
}
