package io.moextend.launch;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * Ranks under the real torchrun. Needs it on the path, or its file in MOEXTEND_TEST_TORCHRUN;
 * skipped, with a line that says so, where it is absent.
 */
@Timeout(180)
class TorchrunTest {
  @TempDir Path folder;

  private static Path torchrun() {
    Optional<Path> found =
        Stream.concat(
                Stream.ofNullable(System.getenv("MOEXTEND_TEST_TORCHRUN")).map(Path::of),
                Arrays.stream(System.getenv("PATH").split(File.pathSeparator))
                    .map(f -> Path.of(f, "torchrun")))
            .filter(Files::isExecutable)
            .findFirst();
    if (found.isEmpty()) {
      System.err.println(
          "SKIPPED: torchrun is not on the path; set MOEXTEND_TEST_TORCHRUN to check it");
    }
    Assumptions.assumeTrue(found.isPresent(), "torchrun is not on the path");
    return found.orElseThrow();
  }

  @Test
  void torchrunsRanksFindEachOtherBesideItsOwnStore() throws Exception {
    var command =
        new ArrayList<>(
            List.of(torchrun().toString(), "--standalone", "--no-python", "--nproc-per-node", "2"));
    command.addAll(Launched.rank("once"));
    try (Launched run = Launched.start(folder, command, Map.of())) {
      run.await("joined as 0 of 2, generation 0", "cards 2");
      run.await("joined as 1 of 2, generation 0", "cards 2");
      assertThat(run.code()).as(run::said).isZero();
    }
  }
}
