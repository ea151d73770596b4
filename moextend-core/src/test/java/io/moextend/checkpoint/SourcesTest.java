package io.moextend.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.Golden;
import io.moextend.array.DType;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Prefixed, Union, and the fingerprint of what they make. */
class SourcesTest {
  private static final String TOWER = "model.visual.vision_tower.";
  @TempDir Path folder;

  @Test
  void aTowerUnderAPrefixJoinsAModel() {
    try (var joined =
        new Union(
            List.of(
                CheckpointFolder.open(Golden.path("hf/hf_mixtral")),
                new Prefixed(CheckpointFolder.open(Golden.path("moextend/clip_tiny")), TOWER)))) {
      String name = TOWER + "vision_model.embeddings.class_embedding";
      assertThat(joined.names()).contains(name, "lm_head.weight");
      assertThat(joined.tensor(name).name()).isEqualTo(name);
      assertThat(joined.tensor(name).length()).isEqualTo(24);
      assertThatThrownBy(() -> joined.tensor("vision_model.embeddings.class_embedding"))
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining("is in none of these");
    }
  }

  @Test
  void aPrefixedSourceKnowsNoBareNames() {
    try (var tower =
        new Prefixed(CheckpointFolder.open(Golden.path("moextend/clip_tiny")), TOWER)) {
      assertThatThrownBy(() -> tower.tensor("vision_model.embeddings.class_embedding"))
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining("names start with " + TOWER);
    }
  }

  @Test
  void aNameInTwoSourcesIsRefusedWithBothOrigins() {
    Path one = Golden.path("moextend/vision_gate");
    Path two = Golden.path("hf/hf_mixtral");
    try (var first = CheckpointFolder.open(one);
        var second = CheckpointFolder.open(two)) {
      assertThatThrownBy(() -> new Union(List.of(first, second)).close())
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining(one.toString())
          .hasMessageContaining(two.toString());
    }
  }

  @Test
  void theFingerprintForgetsShardsAndMetadataButNoNameTypeShapeOrByte() {
    float[] ones = {1, 1, 1, 1};
    Fingerprint plain = print("plain", Map.of("a", tensor("a", DType.F32, ones, 4)), 1000);
    assertThat(print("again", Map.of("a", tensor("a", DType.F32, ones, 4)), 1)).isEqualTo(plain);
    var others = new TreeMap<String, TensorData>();
    others.put("name", tensor("b", DType.F32, ones, 4));
    others.put("shape", tensor("a", DType.F32, ones, 2, 2));
    others.put("type", tensor("a", DType.F16, ones, 4));
    others.put("byte", tensor("a", DType.F32, new float[] {1, 1, 1, Math.nextUp(1f)}, 4));
    var seen = new ArrayList<Fingerprint>(List.of(plain));
    others.forEach(
        (what, tensor) -> {
          Fingerprint other = print(what, Map.of(tensor.name(), tensor), 1000);
          assertThat(seen).as("another %s", what).doesNotContain(other);
          seen.add(other);
        });
  }

  private static TensorData tensor(String name, DType dtype, float[] values, long... shape) {
    return TensorData.of(name, dtype, shape, values);
  }

  private Fingerprint print(String target, Map<String, TensorData> tensors, long shardBytes) {
    Path path = folder.resolve(target);
    AtomicFolder.write(
        path,
        inside ->
            SafetensorsWriter.writeModel(
                inside, tensors.values().stream().map(TensorStream::of).toList(), shardBytes));
    try (var source = CheckpointFolder.open(path)) {
      return Fingerprint.of(source);
    }
  }
}
