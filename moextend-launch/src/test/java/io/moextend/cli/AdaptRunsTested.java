package io.moextend.cli;

import io.moextend.train.AdaptConfig;
import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What tests of stage adapt start from: {@link AdaptRuns}, and a folder for each test. */
@Timeout(120)
abstract class AdaptRunsTested {
  @TempDir static Path shared;

  static AdaptRuns runs;

  @TempDir Path folder;

  @BeforeAll
  static void makeModel() {
    runs = AdaptRuns.in(shared);
  }

  AdaptConfig config(String method, String... more) throws IOException {
    return runs.config(folder, method, more);
  }
}
