package io.moextend.stage.convert;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.TextNode;
import io.moextend.Golden;
import io.moextend.checkpoint.CheckpointException;
import io.moextend.checkpoint.CheckpointFolder;
import io.moextend.checkpoint.SafetensorsWriter;
import io.moextend.checkpoint.TensorData;
import io.moextend.checkpoint.TensorStream;
import io.moextend.checkpoint.WeightSource;
import io.moextend.config.ConfigException;
import io.moextend.config.PublishedJson;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalLong;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class ConversionTest {
  private static final Path SOURCE = Golden.path("moiie/convert_moe/src_phi3");
  private static final Mixture.Balance BALANCE = new Mixture.Balance(0.001, true);

  @TempDir Path folder;

  private static SourceModel source(WeightSource weights) {
    return new SourceModel(weights, SOURCE.resolve("config.json"), PublishedJson.read(SOURCE));
  }

  private static Conversion conversion(WeightSource weights) {
    return ToMixture.of(
        source(weights),
        new Mixture.Moiie(4, 2, BALANCE, BALANCE),
        new LayerChoice("odd"),
        OptionalLong.empty());
  }

  @Test
  void theReceiptRefusesACloneThatIsNotItsSource() {
    String spoilt = "model.layers.3.mlp.experts.2.down_proj.weight";
    try (WeightSource weights = CheckpointFolder.open(SOURCE)) {
      Conversion conversion = conversion(weights);
      conversion.write(SOURCE, folder.resolve("good"), Long.MAX_VALUE);
      try (WeightSource good = CheckpointFolder.open(folder.resolve("good"))) {
        SafetensorsWriter.writeFile(
            folder.resolve("bad.safetensors"),
            good.names().stream()
                .map(name -> name.equals(spoilt) ? other(good.tensor(name)) : good.tensor(name))
                .map(TensorStream::of)
                .toList());
      }
      try (WeightSource bad = CheckpointFolder.open(folder.resolve("bad.safetensors"))) {
        assertThatThrownBy(() -> ConversionReceipt.of(conversion, bad))
            .isInstanceOf(CheckpointException.class)
            .hasMessageContaining(spoilt)
            .hasMessageContaining("convert again");
      }
    }
  }

  private static TensorData other(TensorData tensor) {
    float[] values = tensor.floats();
    values[values.length - 1] += 1e-3f;
    return TensorData.of(tensor.name(), tensor.dtype(), tensor.shape(), values);
  }

  @Test
  void nothingAppearsWhereASourceIsNoLongerThere() throws Exception {
    Path copy = folder.resolve("model.safetensors");
    Files.copy(SOURCE.resolve("model.safetensors"), copy);
    try (WeightSource weights = CheckpointFolder.open(copy)) {
      Conversion conversion = conversion(weights);
      Files.delete(copy);
      Path out = folder.resolve("out");
      assertThatThrownBy(() -> conversion.write(SOURCE, out, Long.MAX_VALUE))
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining(copy + ": cannot be read");
      assertThat(out).doesNotExist();
      assertThat(folder.resolve("out.incomplete")).doesNotExist();
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {4, 8, 12})
  void aMoiieRouterSeesThreeQuartersOfTheExperts(int count) {
    var mixture = new Mixture.Moiie(count, count / 4 * 3, BALANCE, BALANCE);
    assertThat(mixture.experts())
        .isEqualTo(IntStream.range(0, count).mapToObj(i -> "experts." + i).toList());
    assertThat(mixture.routers())
        .containsEntry("gate", count * 3 / 4)
        .containsEntry("gate_vis", count * 3 / 4)
        .hasSize(2);
    assertThatThrownBy(() -> new Mixture.Moiie(count, count / 4 * 3 + 1, BALANCE, BALANCE))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("--top-k");
  }

  @Test
  void aRoutedMixtureHasARouterForEachOfItsLists() {
    var mixture = new Mixture.Routed(3, 2, 2, BALANCE, BALANCE);
    assertThat(mixture.experts())
        .isEqualTo(
            List.of(
                "vis_experts.0",
                "vis_experts.1",
                "vis_experts.2",
                "lan_experts.0",
                "lan_experts.1"));
    assertThat(mixture.routers()).containsEntry("gate", 2).containsEntry("gate_vis", 3);
  }

  @ParameterizedTest
  @EnumSource(PublishedType.class)
  void everyTypeIsFoundByItsNameAndGoesToDenseAsABunny(PublishedType type) {
    JsonNode name = TextNode.valueOf(type.modelType());
    assertThat(PublishedType.named(name, "here")).isEqualTo(type);
    PublishedType dense = type.as(Architecture.DENSE);
    assertThat(dense.modelType()).startsWith("bunny-").hasSizeLessThan(12);
    assertThat(dense.family()).isEqualTo(type.family());
  }
}
