package io.moextend.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.Golden;
import io.moextend.array.DType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class FrozenProofTest {
  @TempDir Path folder;

  @Test
  void whatDidNotMoveIsProvedAfterARoundTripThroughTheFile() {
    try (var model = CheckpointFolder.open(Golden.path("moextend/moextend_ft"))) {
      FrozenProof proof = FrozenProof.of(model, name -> !name.contains("experts.8"));
      proof.write(folder.resolve(FrozenProof.FILE));
      FrozenProof read = FrozenProof.read(folder.resolve(FrozenProof.FILE));
      assertThat(read).isEqualTo(proof);
      assertThat(read.tensors()).hasSize(model.names().size() - 6);
      assertThat(read.verify(model)).isEmpty();
    }
  }

  @Test
  void aTrainedModelHasMovedWhereItWasTrainedAndNowhereElse() {
    try (var before = CheckpointFolder.open(Golden.path("moextend/moextend_ft"));
        var after = CheckpointFolder.open(Golden.path("moextend/moextend_ft_rand"))) {
      List<String> want = new ArrayList<>();
      for (String name : before.names()) {
        if (before.tensor(name).bytes().mismatch(after.tensor(name).bytes()) >= 0) {
          want.add(name);
        }
      }
      assertThat(want).isNotEmpty();
      assertThat(FrozenProof.of(before).verify(after))
          .extracting(FrozenProof.Difference::name)
          .isEqualTo(want);
    }
  }

  @Test
  void eachKindOfChangeIsToldApart() {
    float[] values = {1, 2, 3, 4};
    write("before", DType.F32, List.of("bytes", "dtype", "missing", "same", "shape"), values, 4);
    Path path = folder.resolve("after.safetensors");
    SafetensorsWriter.writeFile(
        path,
        List.of(
            stream("bytes", DType.F32, new float[] {1, 2, 3, Math.nextUp(4f)}, 4),
            stream("dtype", DType.BF16, values, 4),
            stream("same", DType.F32, values, 4),
            stream("shape", DType.F32, values, 2, 2),
            stream("new", DType.F32, values, 4)));
    try (var before = SafetensorsFile.open(folder.resolve("before.safetensors"));
        var after = SafetensorsFile.open(path)) {
      assertThat(FrozenProof.of(before).verify(after))
          .extracting(FrozenProof.Difference::name, FrozenProof.Difference::change)
          .containsExactly(
              org.assertj.core.groups.Tuple.tuple("bytes", FrozenProof.Change.BYTES),
              org.assertj.core.groups.Tuple.tuple("dtype", FrozenProof.Change.DTYPE),
              org.assertj.core.groups.Tuple.tuple("missing", FrozenProof.Change.MISSING),
              org.assertj.core.groups.Tuple.tuple("shape", FrozenProof.Change.SHAPE));
      assertThat(FrozenProof.of(before).verify(after).get(1))
          .hasToString("dtype: was F32, is BF16");
    }
  }

  @Test
  void theDigestIsTheOneOfAnyOtherTool() {
    write("known", DType.F32, List.of("zero"), new float[] {0}, 1);
    try (var file = SafetensorsFile.open(folder.resolve("known.safetensors"))) {
      // printf '\0\0\0\0' | sha256sum
      assertThat(FrozenProof.of(file).tensors().values())
          .extracting(FrozenProof.Print::sha256)
          .containsExactly("df3f619804a92fdb4057192dc43dd748ea778adc52bc498ce80524c014b81119");
    }
  }

  @Test
  void aFileThatIsNoProofIsRefused() throws IOException {
    Path file = folder.resolve(FrozenProof.FILE);
    for (String text :
        List.of(
            "",
            "{}",
            "{\"formatVersion\":9,\"tensors\":{}}",
            "{\"tensors\":{}}",
            "{\"formatVersion\":1,\"tensors\":{\"a\":null}}",
            "{\"formatVersion\":1,\"tensors\":{\"a\":{\"dtype\":\"F31\",\"shape\":[],\"sha256\":\"\"}}}")) {
      Files.writeString(file, text);
      assertThatThrownBy(() -> FrozenProof.read(file))
          .as(text)
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining(FrozenProof.FILE);
    }
  }

  private void write(String file, DType dtype, List<String> names, float[] values, long... shape) {
    SafetensorsWriter.writeFile(
        folder.resolve(file + ".safetensors"),
        names.stream().map(name -> stream(name, dtype, values, shape)).toList());
  }

  private static TensorStream stream(String name, DType dtype, float[] values, long... shape) {
    return TensorStream.of(TensorData.of(name, dtype, shape, values));
  }
}
