package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.Golden;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A sample or image that cannot be learnt from ends a run with exit code 2 and is named. */
class BadSampleTest {
  @TempDir Path folder;

  private Workspace work;

  @BeforeEach
  void makeWorkspace() {
    work = new Workspace(folder).startFrom("vision_align").configured();
  }

  private static void refused(Workspace.Outcome outcome, String... named) {
    assertThat(outcome.err()).startsWith("moextend: ").contains(named).doesNotContain("\tat ");
    assertThat(outcome.err().strip().lines()).hasSize(1);
    assertThat(outcome.code()).isEqualTo(2);
  }

  private void samples(String json) {
    Workspace.write(work.samples(), json);
  }

  /** One sample: what the user says, and an answer. */
  private void sample(String user) {
    samples(
        """
        [{"id": "s1", "conversations": [{"from": "user", "value": "%s"},
          {"from": "assistant", "value": "yes"}]}]
        """
            .formatted(user));
  }

  @Test
  void aMissingImageIsNamedWithItsSample() throws IOException {
    Files.delete(work.data().resolve("i1.png"));
    refused(work.train("alignment"), "train.json", "sample 2", "i1.png");
  }

  @Test
  void anImageThatIsNoneIsNamedWithItsSample() {
    Workspace.write(work.data().resolve("i1.png"), "no picture");
    refused(work.train("alignment"), "train.json", "sample 2", "i1.png");
  }

  @Test
  void anImageCutShortIsNamedWithItsSample() throws IOException {
    Path image = work.data().resolve("i1.png");
    byte[] bytes = Files.readAllBytes(image);
    Files.write(image, java.util.Arrays.copyOf(bytes, bytes.length / 2));
    refused(work.train("alignment"), "train.json", "sample 2", "i1.png");
  }

  @Test
  void anImageOfTooManyPixelsIsNamedWithItsSample() {
    refused(
        work.train("alignment", "data.max_image_pixels=10"), "train.json", "sample", ".png", "10");
  }

  @ParameterizedTest
  @CsvSource({"../base/config.json", "/etc/hostname", "https://example.org/i0.png", "gone.png"})
  void anImagePathThatMustNotBeReadIsNamedWithItsSample(String path) {
    sample("<image>" + path + "</image>what?");
    refused(work.train("alignment"), "train.json", "sample 1", path);
  }

  @Test
  void aLinkThatLeavesTheImageFolderIsNamedWithItsSample() throws IOException {
    Files.createSymbolicLink(work.data().resolve("out.png"), Golden.path("moextend/data/i0.png"));
    sample("<image>out.png</image>what?");
    refused(work.train("alignment"), "train.json", "sample 1", "out.png", "link");
  }

  @Test
  void aSampleOverTheLengthIsNamed() {
    refused(work.train("alignment", "data.max_length=20"), "train.json", "sample 1", "20");
  }

  @Test
  void aCutInsideAnImageIsNamed() {
    refused(
        work.train("alignment", "data.max_length=20", "data.over_length=truncate"),
        "train.json",
        "sample 1",
        "i0.png");
  }

  @Test
  void aSampleLongerThanTheModelHasPositionsIsNamedBeforeTheFirstStep() {
    sample("the red tin on the hat ".repeat(60));
    refused(
        work.train("alignment", "data.max_length=2000"),
        "train.json",
        "sample 1",
        "max_position_embeddings=256");
    refused(
        work.train(
            "alignment",
            "data.max_length=300",
            "data.pad_to_max=true",
            "data.over_length=truncate"),
        "data.max_length=300",
        "max_position_embeddings=256");
    assertThat(work.output().resolve("metrics.jsonl")).doesNotExist();
  }

  @Test
  void samplesThatAreAllTooLongAreRefused() {
    refused(
        work.train("alignment", "data.max_length=5", "data.over_length=skip"), "longer than", "5");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "[] | no samples",
        "[{}] | conversations",
        "[{\"conversations\": []}] | conversations",
        "[{\"conversations\": [{\"from\": \"user\"}]}] | value",
        "[{\"conversations\": [{\"from\": \"narrator\", \"value\": \"x\"}]}] | narrator",
        "[{\"conversations\": [{\"from\": \"user\", \"value\": \"<image> what\"}]}] | image",
        "[{\"image\": \"i0.png\", \"conversations\": [{\"from\": \"user\", \"value\": \"x\"}]}] | image",
        "[{\"image\": 3, \"conversations\": [{\"from\": \"user\", \"value\": \"x\"}]}] | image",
        "[1] | sample 1",
        "[{\"conversations\": [ | JSON",
        "'not json at all' | JSON",
      })
  void samplesThatAreNoneAreNamed(String json, String named) {
    samples(json);
    refused(work.train("alignment"), "train.json", named);
  }

  @Test
  void anEmptySampleFileIsNamed() {
    samples("");
    refused(work.train("alignment"), "train.json", "no samples");
  }

  @Test
  void aModelWithoutAVisionPartIsNotGivenImages() throws IOException {
    deleteAll(work.base());
    Workspace.copy(Golden.path("hf/hf_mixtral"), work.base());
    Workspace.copy(Golden.path("moextend/tokenizer_tiny"), work.base());
    refused(work.train("full"), "train.json", "sample 1", "model.vision_tower");
  }

  private static void deleteAll(Path folder) throws IOException {
    try (var files = Files.list(folder)) {
      for (Path file : files.toList()) {
        Files.delete(file);
      }
    }
  }
}
