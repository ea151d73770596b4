package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.Golden;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * What scripts/device-check runs on other machines; all cases are in GoldenTraceTest and others.
 */
class GoldenReplayTest {
  @TempDir Path folder;

  @Test
  void aCasePassesInBothTypesAndAnotherModelsAnswersAreNoticed() throws IOException {
    List<String> one = List.of("moextend/vision_gate");
    assertThat(replay(Golden.root(), "f32", one)).startsWith("true").contains("\"wrong\":0");
    assertThat(replay(Golden.root(), "bf16", one)).startsWith("true").contains("\"wrong\":0");
    Path mixed = Files.createDirectories(folder.resolve("golden/moextend/vision_gate"));
    try (Stream<Path> files = Files.list(Golden.path("moextend/vision_gate"))) {
      for (Path file : files.toList()) {
        Files.copy(file, mixed.resolve(file.getFileName()));
      }
    }
    Files.delete(mixed.resolve("expected.safetensors"));
    Files.copy(
        Golden.path("moextend/vision_align/expected.safetensors"),
        mixed.resolve("expected.safetensors"));
    assertThat(replay(folder.resolve("golden"), "f32", one))
        .startsWith("false f32 moextend/vision_gate: ")
        .contains("\"wrong\":1");
  }

  private String replay(Path golden, String type, List<String> cases) throws IOException {
    var said = new ByteArrayOutputStream();
    var out = new PrintStream(said, true, StandardCharsets.UTF_8);
    boolean right =
        new GoldenReplay(golden, "cpu", folder, List.of("--threads", "2"), out).run(type, cases);
    return right + " " + said.toString(StandardCharsets.UTF_8);
  }

  @Test
  void everyReferenceCaseWithAModelAndABatchIsReplayed() throws IOException {
    try (Stream<Path> files =
        Files.find(Golden.root(), 3, (p, a) -> p.endsWith("expected.safetensors"))) {
      assertThat(
              files.map(Path::getParent).filter(p -> Files.exists(p.resolve("model.safetensors"))))
          .map(p -> Golden.root().relativize(p).toString())
          .containsExactlyInAnyOrderElementsOf(GoldenReplay.CASES);
    }
  }
}
