package io.moextend.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.json.JsonMapper;
import io.moextend.Golden;
import io.moextend.array.DType;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SafetensorsWriterTest {
  @TempDir Path folder;

  @Test
  void aShardedModelComesBackByteForByte() throws IOException {
    try (var original = CheckpointFolder.open(Golden.path("moextend/moextend_ft_rand"))) {
      SafetensorsWriter.writeModel(folder, TensorStream.all(original), 60_000);
      try (var copy = CheckpointFolder.open(folder)) {
        assertThat(copy.names()).isEqualTo(original.names());
        for (String name : original.names()) {
          assertSame(copy.tensor(name), original.tensor(name));
        }
        assertThat(Fingerprint.of(copy)).isEqualTo(Fingerprint.of(original));
      }
    }
    List<String> shards = fileNames();
    int count = shards.size() - 1;
    assertThat(count).isGreaterThan(3);
    assertThat(shards)
        .contains(
            "model-00001-of-%05d.safetensors".formatted(count),
            "model-%05d-of-%05d.safetensors".formatted(count, count),
            "model.safetensors.index.json");
  }

  @Test
  void theIndexSaysWhereEachTensorIsAndHowManyBytesThereAre() throws IOException {
    SafetensorsWriter.writeModel(
        folder, List.of(bytes("b", 30), bytes("a", 50), bytes("c", 1)), 50);
    var index =
        JsonMapper.builder()
            .build()
            .readTree(folder.resolve("model.safetensors.index.json").toFile());
    assertThat(index.at("/metadata/total_size").asLong()).isEqualTo(81);
    assertThat(index.at("/weight_map/a").asText()).isEqualTo("model-00001-of-00002.safetensors");
    assertThat(index.at("/weight_map/b").asText()).isEqualTo("model-00002-of-00002.safetensors");
    assertThat(index.at("/weight_map/c").asText()).isEqualTo("model-00002-of-00002.safetensors");
  }

  @Test
  void aModelThatFitsIsOneFileWithoutAnIndex() throws IOException {
    SafetensorsWriter.writeModel(folder, List.of(bytes("a", 50), bytes("b", 50)), 100);
    assertThat(fileNames()).containsExactly("model.safetensors");
  }

  @Test
  void aTensorLargerThanAShardHasOneOfItsOwn() throws IOException {
    SafetensorsWriter.writeModel(
        folder, List.of(bytes("a", 5), bytes("b", 500), bytes("c", 5)), 50);
    assertThat(fileNames()).hasSize(4);
    try (var model = CheckpointFolder.open(folder)) {
      assertThat(model.tensor("b").length()).isEqualTo(500);
    }
  }

  @Test
  void dataStartsAtSixtyFourBytesAndEveryTensorAtItsElements() throws IOException {
    Path file = folder.resolve("mixed.safetensors");
    SafetensorsWriter.writeFile(
        file,
        List.of(
            bytes("a", 3),
            TensorStream.of(TensorData.of("b", DType.BF16, new long[] {3}, new float[3])),
            TensorStream.of(TensorData.of("c", new long[] {1}, new long[] {5})),
            TensorStream.of(TensorData.of("d", new long[] {1}, new float[] {6}))));
    var bytes = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
    int start = 8 + (int) bytes.getLong(0);
    assertThat(start % 64).isZero();
    assertThat(bytes.getLong(start)).isEqualTo(5);
    assertThat(bytes.getFloat(start + 8)).isEqualTo(6);
    assertThat(bytes.capacity()).isEqualTo(start + 8 + 4 + 6 + 3);
    try (var written = SafetensorsFile.open(file)) {
      assertThat(written.metadata()).isEqualTo(Map.of("format", "pt"));
      for (String name : written.names()) {
        TensorData tensor = written.tensor(name);
        assertThat(tensor.bytes().address() % tensor.dtype().bytes()).as(name).isZero();
      }
    }
  }

  @Test
  void theSameTensorsInAnyOrderGiveTheSameBytes() throws IOException {
    Path one = folder.resolve("one.safetensors");
    Path two = folder.resolve("two.safetensors");
    SafetensorsWriter.writeFile(
        one, List.of(bytes("a", 3), bytes("b", 4)), Map.of("x", "1", "y", "2"));
    SafetensorsWriter.writeFile(
        two, List.of(bytes("b", 4), bytes("a", 3)), Map.of("y", "2", "x", "1"));
    assertThat(one).hasSameBinaryContentAs(two);
  }

  @Test
  void bytesAreMadeOnlyWhenTheirTurnComes() {
    var made = new ArrayList<String>();
    var tensors = new ArrayList<TensorStream>();
    for (String name : List.of("c", "a", "b")) {
      tensors.add(
          TensorStream.lazily(
              name,
              DType.U8,
              new long[] {2},
              () -> {
                made.add(name);
                return MemorySegment.ofArray(new byte[2]);
              }));
    }
    assertThat(made).isEmpty();
    SafetensorsWriter.writeFile(folder.resolve("lazy.safetensors"), tensors);
    assertThat(made).containsExactly("a", "b", "c");
  }

  @Test
  void aTensorLargerThanTheStagingBufferIsWholeInPiecesOfAnySize() {
    float[] values = new float[3_000_001];
    for (int i = 0; i < values.length; i++) {
      values[i] = i;
    }
    MemorySegment all = MemorySegment.ofArray(values);
    var inPieces =
        new TensorStream(
            "pieces",
            DType.F32,
            new long[] {values.length},
            sink -> {
              sink.write(all.asSlice(0, 7));
              sink.write(all.asSlice(7));
            });
    Path file = folder.resolve("large.safetensors");
    SafetensorsWriter.writeFile(
        file,
        List.of(inPieces, TensorStream.of(TensorData.of("w", new long[] {values.length}, values))));
    try (var written = SafetensorsFile.open(file)) {
      assertThat(written.tensor("w").floats()).isEqualTo(values);
      assertThat(written.tensor("pieces").floats()).isEqualTo(values);
    }
  }

  @Test
  void twoTensorsOfOneNameAreRefused() {
    assertThatThrownBy(
            () ->
                SafetensorsWriter.writeFile(
                    folder.resolve("x.safetensors"), List.of(bytes("a", 1), bytes("a", 1))))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("tensor a: would be written twice");
  }

  @Test
  void aTensorThatGivesTooFewBytesIsOurFault() {
    var wrong =
        TensorStream.lazily(
            "w", DType.F32, new long[] {4}, () -> MemorySegment.ofArray(new byte[15]));
    assertThatThrownBy(
            () -> SafetensorsWriter.writeFile(folder.resolve("x.safetensors"), List.of(wrong)))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("gave 15 bytes instead of 16");
  }

  @Test
  void aFolderThatIsNotThereIsNamedWithTheRoomLeft() {
    Path file = folder.resolve("absent/x.safetensors");
    assertThatThrownBy(() -> SafetensorsWriter.writeFile(file, List.of(bytes("a", 1))))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining(file.toString())
        .hasMessageContaining("GB are free there");
  }

  private static TensorStream bytes(String name, int count) {
    return TensorStream.of(
        new TensorData(name, DType.U8, new long[] {count}, MemorySegment.ofArray(new byte[count])));
  }

  private static void assertSame(TensorData got, TensorData want) {
    assertThat(got.dtype()).isEqualTo(want.dtype());
    assertThat(got.shape()).isEqualTo(want.shape());
    assertThat(got.bytes().mismatch(want.bytes())).as(want.name()).isEqualTo(-1);
  }

  private List<String> fileNames() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(file -> file.getFileName().toString()).sorted().toList();
    }
  }
}
