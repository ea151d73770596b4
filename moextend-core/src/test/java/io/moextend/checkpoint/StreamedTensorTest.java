package io.moextend.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.Golden;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A tensor that is read from its file in pieces. */
class StreamedTensorTest {
  private static final int LONG = (5 << 18) + 3; // floats: five MiB and a bit

  @TempDir Path folder;

  private static byte[] read(TensorStream tensor, List<Long> pieces) throws IOException {
    var bytes = new ByteArrayOutputStream();
    tensor
        .content()
        .writeTo(
            piece -> {
              pieces.add(piece.byteSize());
              bytes.writeBytes(piece.toArray(ValueLayout.JAVA_BYTE));
            });
    return bytes.toByteArray();
  }

  private Path longFile() {
    var random = new Random(11);
    float[] values = new float[LONG];
    for (int i = 0; i < LONG; i++) {
      values[i] = random.nextFloat();
    }
    Path file = folder.resolve("long.safetensors");
    SafetensorsWriter.writeFile(
        file,
        List.of(
            TensorStream.of(TensorData.of("a", new long[] {3}, new float[3])),
            TensorStream.of(TensorData.of("b", new long[] {LONG}, values)),
            TensorStream.of(TensorData.of("empty", new long[] {0, 4}, new float[0]))));
    return file;
  }

  @Test
  void itsPiecesAreItsBytesAndSmall() throws IOException {
    try (var file = SafetensorsFile.open(longFile())) {
      for (String name : file.names()) {
        var pieces = new ArrayList<Long>();
        TensorData whole = file.tensor(name);
        TensorStream stream = file.stream(name);
        assertThat(read(stream, pieces)).isEqualTo(whole.bytes().toArray(ValueLayout.JAVA_BYTE));
        assertThat(stream.shape()).isEqualTo(whole.shape());
        assertThat(stream.dtype()).isEqualTo(whole.dtype());
        assertThat(pieces).allMatch(bytes -> bytes <= 1 << 20);
        assertThat(FrozenProof.Print.of(stream)).isEqualTo(FrozenProof.Print.of(whole));
      }
    }
  }

  @Test
  void shardsHandOutStreamsToo() throws IOException {
    try (var sharded = CheckpointFolder.open(Golden.path("moiie/convert_moe/src_llama"))) {
      for (String name : sharded.names()) {
        assertThat(read(sharded.stream(name), new ArrayList<>()))
            .isEqualTo(sharded.tensor(name).bytes().toArray(ValueLayout.JAVA_BYTE));
      }
      assertThatThrownBy(() -> sharded.stream("nothing"))
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining("tensor nothing: is not in this checkpoint");
    }
  }

  @Test
  void aDeltaHandsOutItsOwnTensorsAndItsBasesOthers() throws IOException {
    Path base = Golden.path("moiie/convert_moe/src_llama");
    float[] norm = new float[16];
    norm[3] = 7;
    try (var below = CheckpointFolder.open(base)) {
      DeltaCheckpoint.write(
          Files.createDirectory(folder.resolve("delta")),
          Fingerprint.of(below),
          List.of(TensorStream.of(TensorData.of("model.norm.weight", new long[] {16}, norm))));
    }
    try (var merged = CheckpointFolder.open(folder.resolve("delta"), base)) {
      for (String name : merged.names()) {
        assertThat(read(merged.stream(name), new ArrayList<>()))
            .isEqualTo(merged.tensor(name).bytes().toArray(ValueLayout.JAVA_BYTE));
      }
      assertThat(merged.tensor("model.norm.weight").floats()).isEqualTo(norm);
    }
  }

  @Test
  void aFileThatBecomesShorterWhileItIsReadIsNamed() throws IOException {
    Path path = longFile();
    try (var file = SafetensorsFile.open(path)) {
      TensorStream stream = file.stream("b");
      try (var shorter = new RandomAccessFile(path.toFile(), "rw")) {
        shorter.setLength(3 << 20);
      }
      assertThatThrownBy(() -> read(stream, new ArrayList<>()))
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining(path + ": was cut off");
      Files.delete(path);
      assertThatThrownBy(() -> read(stream, new ArrayList<>()))
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining(path + ": cannot be read");
    }
  }
}
