package io.moextend.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.Golden;
import io.moextend.array.DType;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SafetensorsFileTest {
  @TempDir Path folder;

  @Test
  void everyGoldenFileOpensAndTilesItsData() throws IOException {
    int files = 0;
    try (Stream<Path> all = Files.walk(Golden.root())) {
      for (Path path : all.filter(p -> p.toString().endsWith(".safetensors")).toList()) {
        try (var file = SafetensorsFile.open(path)) {
          assertThat(file.metadata()).as("%s", path).containsEntry("format", "pt");
          for (String name : file.names()) {
            TensorData tensor = file.tensor(name);
            assertThat(tensor.name()).isEqualTo(name);
            if (tensor.dtype().isFloating()) {
              assertThat(tensor.floats()).as("%s %s", path, name).hasSize((int) tensor.length());
            }
          }
        }
        files++;
      }
    }
    assertThat(files).isGreaterThanOrEqualTo(20);
  }

  @Test
  void numbersArriveAsTheReferenceReadsThem() {
    try (var inputs =
        SafetensorsFile.open(Golden.path("moextend/vision_align/inputs.safetensors"))) {
      TensorData ids = inputs.tensor("input_ids");
      assertThat(ids.dtype()).isEqualTo(DType.I64);
      assertThat(ids.longs()).startsWith(1, 259, 337, 291, 313, 289);
      assertThat(inputs.tensor("pixel_values").floats())
          .startsWith(0.76246214f, 0.76246214f, 0.77706057f);
    }
  }

  @Test
  void everyKnownTypeIsReadAndBoolIsU8() throws IOException {
    var data =
        ByteBuffer.allocate(8 + 4 + 2 + 2 + 8 + 4 + 1 + 1 + 1).order(ByteOrder.LITTLE_ENDIAN);
    data.putDouble(0.5).putFloat(-1.5f).putShort((short) 0x3fc0).putShort((short) 0x3e00);
    data.putLong(-7).putInt(-8).put((byte) -9).put((byte) 250).put((byte) 1);
    String header =
        "{"
            + String.join(
                ",",
                SafetensorsBytes.entry("f64", "F64", "[]", "[0,8]"),
                SafetensorsBytes.entry("f32", "F32", "[1]", "[8,12]"),
                SafetensorsBytes.entry("bf16", "BF16", "[1,1]", "[12,14]"),
                SafetensorsBytes.entry("f16", "F16", "[1]", "[14,16]"),
                SafetensorsBytes.entry("i64", "I64", "[1]", "[16,24]"),
                SafetensorsBytes.entry("i32", "I32", "[1]", "[24,28]"),
                SafetensorsBytes.entry("i8", "I8", "[1]", "[28,29]"),
                SafetensorsBytes.entry("u8", "U8", "[1]", "[29,30]"),
                SafetensorsBytes.entry("bool", "BOOL", "[1]", "[30,31]"),
                SafetensorsBytes.entry("none", "F32", "[0,5]", "[31,31]"))
            + "}   ";
    Path path =
        SafetensorsBytes.write(
            folder.resolve("types.safetensors"),
            header.getBytes(StandardCharsets.UTF_8),
            data.array());
    try (var file = SafetensorsFile.open(path)) {
      assertThat(file.tensor("f64").floats()).containsExactly(0.5f);
      assertThat(file.tensor("f64").shape()).isEmpty();
      assertThat(file.tensor("f32").floats()).containsExactly(-1.5f);
      assertThat(file.tensor("bf16").floats()).containsExactly(1.5f);
      assertThat(file.tensor("f16").floats()).containsExactly(1.5f);
      assertThat(file.tensor("i64").longs()).containsExactly(-7);
      assertThat(file.tensor("i32").longs()).containsExactly(-8);
      assertThat(file.tensor("i8").longs()).containsExactly(-9);
      assertThat(file.tensor("u8").longs()).containsExactly(250);
      assertThat(file.tensor("bool").dtype()).isEqualTo(DType.U8);
      assertThat(file.tensor("bool").longs()).containsExactly(1);
      assertThat(file.tensor("none").floats()).isEmpty();
    }
  }

  @Test
  void aTensorBeyondTwoGigabytesIsRead() throws IOException {
    long far = 3L << 30;
    String header =
        "{"
            + SafetensorsBytes.entry("near", "U8", "[" + far + "]", "[0," + far + "]")
            + ","
            + SafetensorsBytes.entry("far", "F32", "[2]", "[" + far + "," + (far + 8) + "]")
            + "}";
    Path path = SafetensorsBytes.write(folder.resolve("far.safetensors"), header, 0);
    try (var file = new RandomAccessFile(path.toFile(), "rw")) {
      long start = file.length() + far;
      file.setLength(start + 8);
      file.seek(start);
      file.write(
          ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putFloat(3).putFloat(4).array());
    }
    try (var file = SafetensorsFile.open(path)) {
      assertThat(file.tensor("far").floats()).containsExactly(3, 4);
      assertThat(file.tensor("near").length()).isEqualTo(far);
      assertThatThrownBy(() -> file.tensor("near").longs())
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining("do not fit in one array");
    }
  }

  @Test
  void aTensorThatIsNotThereIsNamed() {
    Path path = Golden.path("moextend/clip_tiny/model.safetensors");
    try (var file = SafetensorsFile.open(path)) {
      assertThatThrownBy(() -> file.tensor("absent.weight"))
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining(path.toString())
          .hasMessageContaining("absent.weight");
    }
  }

  @Test
  void memoryEndsWithTheFile() {
    TensorData tensor;
    try (var file = SafetensorsFile.open(Golden.path("moextend/clip_tiny/model.safetensors"))) {
      tensor = file.tensor(file.names().iterator().next());
      assertThat(tensor.length()).isPositive();
    }
    assertThatThrownBy(tensor::floats).isInstanceOf(IllegalStateException.class);
  }
}
