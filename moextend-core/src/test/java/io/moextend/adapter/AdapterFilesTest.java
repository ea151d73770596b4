package io.moextend.adapter;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.moextend.Golden;
import io.moextend.checkpoint.CheckpointException;
import io.moextend.checkpoint.SafetensorsFile;
import io.moextend.checkpoint.SafetensorsWriter;
import io.moextend.checkpoint.TensorData;
import io.moextend.checkpoint.TensorStream;
import io.moextend.checkpoint.WeightSource;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Adapters in files of ours and of PEFT's. */
class AdapterFilesTest {
  @TempDir Path folder;

  private static List<TensorData> all(WeightSource source) {
    return source.names().stream().map(source::tensor).toList();
  }

  private static void assertSame(WeightSource have, WeightSource want) {
    assertThat(have.names()).isEqualTo(want.names());
    for (String name : want.names()) {
      assertThat(have.tensor(name).shape()).as(name).isEqualTo(want.tensor(name).shape());
      assertThat(have.tensor(name).floats()).as(name).isEqualTo(want.tensor(name).floats());
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"ia3", "lora", "mov", "mov_top2", "molora"})
  void whatIsWrittenLiesAsTheOriginalsTensorsDo(String name) throws IOException {
    Path golden = Golden.path("mov/" + name);
    AdapterConfig config = AdaptedT5.config(golden);
    Path saved = folder.resolve("saved");
    try (var original = SafetensorsFile.open(golden.resolve(AdapterFolder.WEIGHTS))) {
      Path copied = Files.createDirectories(folder.resolve("copied"));
      Files.copy(golden.resolve(AdapterFolder.WEIGHTS), copied.resolve(AdapterFolder.WEIGHTS));
      try (var read = AdapterFolder.open(copied)) {
        AdapterFolder.write(saved, config, all(read));
      }
      try (var written = SafetensorsFile.open(saved.resolve(AdapterFolder.WEIGHTS))) {
        assertSame(written, original);
      }
    }
    assertThat(AdapterFolder.isIn(saved)).isTrue();
    assertThat(AdapterFolder.config(saved)).isEqualTo(config);
  }

  @Test
  void aConfigThatDoesNotFitTogetherIsRefusedWithItsFile() throws IOException {
    Path file = folder.resolve(AdapterFolder.CONFIG);
    try (var source = SafetensorsFile.open(Golden.path("mov/lora/adapter.safetensors"))) {
      AdapterFolder.write(folder.resolve("a"), AdapterConfig.lora(2), all(source));
    }
    String text = Files.readString(folder.resolve("a").resolve(AdapterFolder.CONFIG));
    Files.writeString(file, text.replace("\"rank\" : 2", "\"rank\" : 0"));
    assertThatThrownBy(() -> AdapterFolder.config(folder))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContainingAll(file.toString(), "adapter.rank=0");
    Files.writeString(file, text.replace("\"topK\"", "\"top\""));
    assertThatThrownBy(() -> AdapterFolder.config(folder))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContainingAll(file.toString(), "top");
  }

  @ParameterizedTest
  @CsvSource({"lora_llama, 2", "lora_phi3, 2", "ia3_llama, 2", "ia3_t5, 4"})
  void whatPeftWroteIsWrittenAgainAsItWas(String name, int heads) throws IOException {
    Path golden = Golden.path("peft/" + name);
    PeftFolder.Read read = PeftFolder.open(golden, module -> heads);
    try (WeightSource weights = read.weights();
        var original = SafetensorsFile.open(golden.resolve(PeftFolder.WEIGHTS))) {
      PeftFolder.write(folder.resolve("again"), read.config(), "base", all(weights));
      try (var written =
          SafetensorsFile.open(folder.resolve("again").resolve(PeftFolder.WEIGHTS))) {
        assertSame(written, original);
      }
    }
    PeftFolder.Read again = PeftFolder.open(folder.resolve("again"), module -> heads);
    again.weights().close();
    assertThat(again.config()).isEqualTo(read.config());
  }

  @Test
  void aRankStabilisedLoraScalesByTheRoot() {
    PeftFolder.Read read = PeftFolder.open(Golden.path("peft/lora_llama"), module -> 2);
    read.weights().close();
    assertThat(read.config().scale()).isCloseTo(5 / Math.sqrt(3), within(1e-12));
    assertThat(read.config().sites()).containsExactly("down_proj", "q_proj", "v_proj");
  }

  private Path changed(String field, String json) throws IOException {
    try (Stream<Path> files = Files.list(Golden.path("peft/lora_llama"))) {
      for (Path file : files.toList()) {
        Files.copy(file, folder.resolve(file.getFileName()), StandardCopyOption.REPLACE_EXISTING);
      }
    }
    var mapper = new ObjectMapper();
    Path config = folder.resolve(PeftFolder.CONFIG);
    var tree = (ObjectNode) mapper.readTree(config.toFile());
    tree.set(field, mapper.readTree(json));
    mapper.writeValue(config.toFile(), tree);
    return folder;
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      value = {
        "use_dora; true",
        "bias; \"all\"",
        "modules_to_save; [\"lm_head\"]",
        "rank_pattern; {\"q_proj\": 4}",
        "layers_to_transform; [0]",
        "init_lora_weights; \"pissa\"",
        "fan_in_fan_out; true",
        "lora_bias; true",
        "peft_type; \"ADALORA\"",
        "r; 0",
        "something_new; {\"a\": 1}"
      })
  void whatIsNotBuiltIsRefusedByName(String field, String value) throws IOException {
    Path changed = changed(field, value);
    assertThatThrownBy(() -> PeftFolder.open(changed, module -> 2).weights().close())
        .isInstanceOf(CheckpointException.class)
        .hasMessageContainingAll(PeftFolder.CONFIG, field + "=");
  }

  @Test
  void aTensorThatIsNotKnownIsRefusedByName() throws IOException {
    Path changed = changed("r", "3");
    var tensors = new ArrayList<TensorStream>();
    String odd = "base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector.weight";
    tensors.add(TensorStream.of(TensorData.of(odd, new long[] {2}, new float[2])));
    Files.delete(changed.resolve(PeftFolder.WEIGHTS));
    SafetensorsWriter.writeFile(changed.resolve(PeftFolder.WEIGHTS), tensors);
    assertThatThrownBy(() -> PeftFolder.open(changed, module -> 2).weights().close())
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining(odd);
  }

  @ParameterizedTest
  @ValueSource(strings = {"mov", "molora"})
  void mixturesAreNeitherMergedNorGivenToPeft(String name) {
    Path golden = Golden.path("mov/" + name);
    AdapterConfig config = AdaptedT5.config(golden);
    try (var base = SafetensorsFile.open(golden.resolve("model.safetensors"));
        var adapter = SafetensorsFile.open(golden.resolve("adapter.safetensors"))) {
      assertThatThrownBy(() -> Merged.of(base, config, adapter))
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining(name + " cannot be merged into weights: its routers weigh");
      assertThatThrownBy(() -> PeftFolder.write(folder.resolve("x"), config, "base", all(adapter)))
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining("PEFT has no " + name);
    }
  }

  @Test
  void anAdapterOfAnotherModelIsNotMerged() {
    Path golden = Golden.path("mov/lora");
    AdapterConfig config = AdaptedT5.config(golden);
    try (var base = SafetensorsFile.open(Golden.path("hf/hf_llama/model.safetensors"));
        var adapter =
            new TurnedTensors(SafetensorsFile.open(golden.resolve("adapter.safetensors")))) {
      assertThatThrownBy(() -> Merged.of(base, config, adapter))
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining("is not there to merge");
    }
  }
}
