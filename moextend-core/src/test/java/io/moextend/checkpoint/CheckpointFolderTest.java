package io.moextend.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.Golden;
import io.moextend.array.DType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import org.assertj.core.api.AbstractThrowableAssert;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class CheckpointFolderTest {
  @TempDir Path folder;

  @Test
  void everyGoldenModelOpens() {
    for (String model :
        List.of(
            "moextend/vision_align",
            "moextend/vision_gate",
            "moextend/moextend_ft",
            "moextend/moextend_ft_rand",
            "moextend/clip_tiny",
            "hf/hf_mixtral",
            "hf/hf_llama",
            "hf/hf_clip_vision")) {
      try (var source = CheckpointFolder.open(Golden.path(model))) {
        assertThat(source.names()).as(model).hasSizeGreaterThan(20);
      }
    }
  }

  @Test
  void theOnlyFileIsTheModelWhateverItsName() {
    write("adapter.safetensors", "a");
    assertOpensWith("a");
  }

  @Test
  void aPathToAFileOpensThatFile() {
    write("a.safetensors", "a");
    write("b.safetensors", "b");
    try (var source = CheckpointFolder.open(folder.resolve("b.safetensors"))) {
      assertThat(source.names()).containsExactly("b");
    }
  }

  @Test
  void twoFilesWithoutAnIndexAreRefused() {
    write("a.safetensors", "a");
    write("b.safetensors", "b");
    assertRefused().hasMessageContaining("a.safetensors, b.safetensors");
  }

  @Test
  void shardsAreReadThroughTheirIndexWithOrWithoutMetadata() throws IOException {
    write("one.safetensors", "a", "b");
    write("two.safetensors", "c");
    index("\"a\":\"one.safetensors\",\"b\":\"one.safetensors\",\"c\":\"two.safetensors\"");
    assertOpensWith("a", "b", "c");
    Files.writeString(
        folder.resolve(ShardIndex.FILE),
        "{\"metadata\":{\"total_size\":1.5},\"weight_map\":{\"a\":\"one.safetensors\","
            + "\"b\":\"one.safetensors\",\"c\":\"two.safetensors\"}}");
    assertOpensWith("a", "b", "c");
  }

  @Test
  void aMissingShardIsNamedWithATensorThatNeedsIt() throws IOException {
    write("one.safetensors", "a");
    index("\"a\":\"one.safetensors\",\"c\":\"two.safetensors\"");
    assertRefused().hasMessageContaining("tensor c").hasMessageContaining("two.safetensors");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "../one.safetensors",
        "/elsewhere/one.safetensors",
        "sub/one.safetensors",
        "./one.safetensors",
        "..",
        ".",
        "",
        "\\u0000"
      })
  void aShardOutsideTheFolderIsNotOpened(String shard) throws IOException {
    write("one.safetensors", "a");
    index("\"a\":\"" + shard + "\"");
    assertRefused().hasMessageContaining(ShardIndex.FILE);
  }

  @Test
  void aLinkOutOfTheFolderIsNotOpened(@TempDir Path elsewhere) throws IOException {
    write("one.safetensors", "a");
    Path moved =
        Files.move(folder.resolve("one.safetensors"), elsewhere.resolve("one.safetensors"));
    Files.createSymbolicLink(folder.resolve("one.safetensors"), moved);
    index("\"a\":\"one.safetensors\"");
    assertRefused().hasMessageContaining("is a link that leaves the folder");
    Files.delete(folder.resolve(ShardIndex.FILE));
    assertRefused().hasMessageContaining("is a link that leaves the folder");
    Files.move(folder.resolve("one.safetensors"), folder.resolve("model.safetensors"));
    assertRefused().hasMessageContaining("is a link that leaves the folder");
  }

  @Test
  void theLinksOfAHuggingFaceCacheAreFollowed() throws IOException {
    Path snapshot = Files.createDirectories(folder.resolve("snapshots/c0ffee"));
    Files.createDirectories(folder.resolve("blobs"));
    write("blobs/1234", "a");
    Files.createSymbolicLink(snapshot.resolve("model.safetensors"), Path.of("../../blobs/1234"));
    try (var source = CheckpointFolder.open(snapshot)) {
      assertThat(source.names()).containsExactly("a");
    }
  }

  @Test
  void anIndexOfAnotherModelIsRefused() throws IOException {
    write("one.safetensors", "a");
    index("\"a\":\"one.safetensors\",\"b\":\"one.safetensors\"");
    assertRefused().hasMessageContaining("tensor b").hasMessageContaining("is not in its shard");
    index("");
    assertThat(CheckpointFolder.inside(folder, "one.safetensors", folder)).exists();
    write("two.safetensors", "x");
    index("\"x\":\"two.safetensors\",\"a\":\"one.safetensors\"");
    assertOpensWith("a", "x");
  }

  @Test
  void aTensorThatTheIndexForgetsIsNamed() throws IOException {
    write("one.safetensors", "a", "b");
    index("\"a\":\"one.safetensors\"");
    assertRefused().hasMessageContaining("tensor b").hasMessageContaining("not in the index");
  }

  @Test
  void aTensorInTwoShardsIsNamedWithBoth() throws IOException {
    write("one.safetensors", "a", "b");
    write("two.safetensors", "b");
    index("\"a\":\"two.safetensors\",\"b\":\"two.safetensors\"");
    assertRefused().hasMessageContaining("tensor a");
    index("\"a\":\"one.safetensors\",\"b\":\"two.safetensors\"");
    assertRefused()
        .hasMessageContaining("tensor b")
        .hasMessageContaining("stands in both two.safetensors and one.safetensors");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "{",
        "[]",
        "{}",
        "{\"weight_map\":null}",
        "{\"weight_map\":{\"a\":null}}",
        "{\"weight_map\":{\"a\":[\"one.safetensors\"]}}",
        "{\"weight_map\":{\"a\":\"one.safetensors\",\"a\":\"one.safetensors\"}}",
        "{\"weight_map\":{\"a\":\"one.safetensors\"}} {}"
      })
  void anIndexThatIsNoneIsRefused(String text) throws IOException {
    write("one.safetensors", "a");
    Files.writeString(folder.resolve(ShardIndex.FILE), text);
    assertRefused().hasMessageContaining(ShardIndex.FILE);
  }

  @ParameterizedTest
  @ValueSource(strings = {"pytorch_model.bin", "pytorch_model-00001-of-00002.bin", "model.pth"})
  void picklesAreToBeConverted(String name) throws IOException {
    Files.writeString(folder.resolve(name), "pickle");
    assertRefused().hasMessageContaining("convert them to safetensors");
  }

  @Test
  void anEmptyOrAbsentFolderIsSaidToBe() {
    assertRefused().hasMessageContaining("holds no *.safetensors");
    assertThatThrownBy(() -> CheckpointFolder.open(folder.resolve("absent")).close())
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("no such folder");
  }

  private AbstractThrowableAssert<?, ? extends Throwable> assertRefused() {
    return assertThatThrownBy(() -> CheckpointFolder.open(folder).close())
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining(folder.toString());
  }

  private void assertOpensWith(String... names) {
    try (var source = CheckpointFolder.open(folder)) {
      assertThat(source.names()).containsExactly(names);
      for (String name : names) {
        assertThat(source.tensor(name).floats()).containsExactly(1, 2);
      }
      assertThatThrownBy(() -> source.tensor("absent"))
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining("absent");
    }
  }

  private void write(String file, String... names) {
    Collection<TensorStream> tensors =
        Arrays.stream(names)
            .map(
                name ->
                    TensorStream.of(
                        TensorData.of(name, DType.F32, new long[] {2}, new float[] {1, 2})))
            .toList();
    SafetensorsWriter.writeFile(folder.resolve(file), tensors);
  }

  private void index(String weightMap) throws IOException {
    Files.writeString(folder.resolve(ShardIndex.FILE), "{\"weight_map\":{" + weightMap + "}}");
  }
}
