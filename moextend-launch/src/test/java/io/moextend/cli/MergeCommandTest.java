package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.Golden;
import io.moextend.adapter.AdapterConfig;
import io.moextend.adapter.AdapterFolder;
import io.moextend.adapter.PeftFolder;
import io.moextend.array.DType;
import io.moextend.checkpoint.CheckpointFolder;
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
import java.util.Arrays;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What merge writes says what its base says with the adapter beside it, or nothing is written. */
class MergeCommandTest {
  private static final long SEED = 20261123;

  @TempDir Path folder;

  private static Path base(String family) {
    return Golden.path("hf/hf_" + family);
  }

  private static AdapterConfig config(String method) {
    return switch (method) {
      case "ia3" -> AdapterConfig.ia3();
      case "lora" -> AdapterConfig.lora(4).scaledBy(2);
      case "mov" -> AdapterConfig.mov(3);
      default -> AdapterConfig.molora(3, 2);
    };
  }

  private static Ran merge(Path base, Path adapter, Path output) {
    return Ran.moextend("merge", "--model", base, "--adapter", adapter, "--output", output);
  }

  private Path merged(Path base, Path adapter) {
    return merged(base, adapter, "a/b/merged");
  }

  private Path merged(Path base, Path adapter, String name) {
    Path output = folder.resolve(name);
    Ran ran = merge(base, adapter, output);
    assertThat(ran.code()).as(ran.err()).isZero();
    assertThat(ran.out()).contains("merged into " + output);
    return output;
  }

  /** Of the family's reference batch. */
  private float[] logits(String family, Path model, Object... more) throws IOException {
    Path out = Files.createTempDirectory(folder, "traced").resolve("out.safetensors");
    var words = new ArrayList<Object>(List.of("trace", "--model", model, "--output", out));
    words.addAll(List.of("--inputs", base(family).resolve("inputs.safetensors")));
    words.addAll(List.of("--dtype", "f32", "--backend", "cpu"));
    words.addAll(List.of(more));
    Ran ran = Ran.moextend(words.toArray());
    assertThat(ran.code()).as(ran.err()).isZero();
    try (WeightSource traced = SafetensorsFile.open(out)) {
      return traced.tensor("logits").floats();
    }
  }

  private static double largest(float[] values, float[] less) {
    double largest = 0;
    for (int i = 0; i < values.length; i++) {
      largest = Math.max(largest, Math.abs(values[i] - less[i]));
    }
    return largest;
  }

  /** Also that the adapter changes something. */
  private static void requireSame(float[] got, float[] want, float[] bare, double tolerance) {
    double size = largest(want, new float[want.length]);
    assertThat(got).hasSameSizeAs(want);
    assertThat(largest(got, want) / size).isLessThan(tolerance);
    assertThat(largest(want, bare) / size).isGreaterThan(100 * tolerance);
  }

  private static List<String> files(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(f -> f.getFileName().toString()).sorted().toList();
    }
  }

  @ParameterizedTest
  @CsvSource({
    "t5, lora, ours",
    "t5, lora, peft",
    "t5, ia3, ours",
    "t5, ia3, peft",
    "mixtral, lora, ours",
    "mixtral, lora, peft",
    "mixtral, ia3, ours",
    "mixtral, ia3, peft",
    "llama, lora, ours",
    "llama, lora, peft",
    "llama, ia3, ours",
    "llama, ia3, peft",
    "qwen2, lora, ours",
    "qwen2, ia3, peft",
    "phi3, lora, ours",
    "phi3, lora, peft",
    "phi3, ia3, ours"
  })
  void theMergedModelSaysWhatTheAdaptedOneSays(String family, String method, String form)
      throws IOException {
    RandomAdapter random = RandomAdapter.of(base(family), config(method), SEED);
    Path own = folder.resolve("adapter");
    Path adapter = form.equals("peft") ? random.writeForPeft(own) : random.write(own);
    float[] beside = logits(family, base(family), "--adapter", adapter);
    Path merged = merged(base(family), adapter);
    requireSame(logits(family, merged), beside, logits(family, base(family)), 1e-5);
    assertThat(files(merged)).containsExactly("config.json", "model.safetensors");
    assertThat(merged.resolve("config.json"))
        .hasSameBinaryContentAs(base(family).resolve("config.json"));
    assertThat(files(merged.resolveSibling("."))).containsExactly("merged");
  }

  /** Parts of Phi-3's fused products, and a whole one that is multiplied. */
  @ParameterizedTest
  @CsvSource({
    "lora, q_proj v_proj up_proj",
    "lora, k_proj gate_proj down_proj",
    "ia3, qkv_proj",
    "ia3, 1.self_attn.v_proj"
  })
  void adaptersOfPartsOfAMatrixChangeTheirRows(String method, String sites) throws IOException {
    AdapterConfig config = config(method).at(List.of(sites.split(" ")));
    Path adapter = RandomAdapter.of(base("phi3"), config, SEED).write(folder.resolve("adapter"));
    float[] beside = logits("phi3", base("phi3"), "--adapter", adapter);
    Path merged = merged(base("phi3"), adapter);
    requireSame(logits("phi3", merged), beside, logits("phi3", base("phi3")), 1e-5);
  }

  @Test
  void vectorsOfPeftForAWholeFusedProductAreReadAndMerged() throws IOException {
    AdapterConfig config = AdapterConfig.ia3().at(List.of("qkv_proj", "down_proj"));
    Path adapter =
        RandomAdapter.of(base("phi3"), config, SEED).writeForPeft(folder.resolve("adapter"));
    float[] beside = logits("phi3", base("phi3"), "--adapter", adapter);
    requireSame(
        logits("phi3", merged(base("phi3"), adapter)), beside, logits("phi3", base("phi3")), 1e-5);
  }

  @ParameterizedTest
  @ValueSource(strings = {"t5", "mixtral"})
  void halfPrecisionStaysAndEachWeightIsRoundedOnce(String family) throws IOException {
    Path narrow = copied(family, "narrow", MergeCommandTest::half);
    Path wide = copied(family, "wide", t -> TensorData.of(t.name(), t.shape(), half(t).floats()));
    Path adapter = RandomAdapter.of(wide, config("lora"), SEED).write(folder.resolve("adapter"));
    try (WeightSource rounded = CheckpointFolder.open(merged(narrow, adapter, "rounded"));
        WeightSource exact = CheckpointFolder.open(merged(wide, adapter, "exact"))) {
      for (String name : exact.names()) {
        assertThat(rounded.tensor(name).dtype()).as(name).isEqualTo(DType.BF16);
        assertThat(rounded.tensor(name).floats())
            .as(name)
            .isEqualTo(half(exact.tensor(name)).floats());
      }
    }
  }

  private Path copied(String family, String name, UnaryOperator<TensorData> changed)
      throws IOException {
    Path copy = Files.createDirectories(folder.resolve(name));
    try (WeightSource base = CheckpointFolder.open(base(family))) {
      SafetensorsWriter.writeFile(
          copy.resolve("model.safetensors"),
          base.names().stream().map(base::tensor).map(changed).map(TensorStream::of).toList());
    }
    return Files.copy(base(family).resolve("config.json"), copy.resolve("config.json"))
        .resolveSibling(".")
        .normalize();
  }

  private static TensorData half(TensorData tensor) {
    return TensorData.of(tensor.name(), DType.BF16, tensor.shape(), tensor.floats());
  }

  /** One line that names what is wrong; nothing is left where the result was to be. */
  private void refused(Path base, Path adapter, String... words) throws IOException {
    Path output = Files.createDirectories(folder.resolve("refused")).resolve("merged");
    Ran ran = merge(base, adapter, output);
    assertThat(ran.code()).as(ran.err()).isEqualTo(2);
    assertThat(ran.err().strip().lines()).hasSize(1);
    assertThat(ran.err()).contains(words);
    assertThat(output.resolveSibling(".")).isEmptyDirectory();
  }

  @ParameterizedTest
  @CsvSource({"t5, mov", "t5, molora", "mixtral, molora", "llama, mov"})
  void mixturesAreRefusedByNameAndWithTheMend(String family, String method) throws IOException {
    Path adapter =
        RandomAdapter.of(base(family), config(method), SEED).write(folder.resolve("adapter"));
    refused(
        base(family),
        adapter,
        adapter.toString(),
        method + " cannot be merged",
        "keep the adapter beside its base");
  }

  @Test
  void anOutputThatExistsIsLeftAsItIs() throws IOException {
    Path kept = Files.writeString(folder.resolve("kept"), "mine");
    Ran ran = merge(base("llama"), Golden.path("peft/lora_llama"), kept);
    assertThat(ran.code()).isEqualTo(2);
    assertThat(ran.err()).contains("--output=" + kept, "exists already");
    assertThat(kept).hasContent("mine");
  }

  @Test
  void anotherModelIsRefusedByTheTensor() throws IOException {
    refused(
        base("mixtral"),
        Golden.path("peft/lora_llama"),
        "tensor model.layers.0.mlp.down_proj.weight: is not there",
        "another model's?");
    refused(base("llama"), Golden.path("peft/ia3_t5"), "is not there", "another model's?");
    Path moiie = Golden.path("moiie/stage1_dense_phi3");
    AdapterConfig attention = config("lora").at(List.of("0.self_attn.qkv_proj"));
    Path wider = RandomAdapter.of(moiie, attention, SEED).write(folder.resolve("wider"));
    refused(base("phi3"), wider, "0.self_attn.qkv_proj.weight", "of other sizes");
    Path vectors =
        RandomAdapter.of(base("llama"), config("ia3"), SEED).write(folder.resolve("vectors"));
    refused(base("phi3"), vectors, "mlp.down_proj.weight", "of other sizes");
  }

  @Test
  void whatIsNoAdapterIsRefused() throws IOException {
    Path nothing = Files.createDirectories(folder.resolve("nothing"));
    refused(base("llama"), nothing, nothing.toString(), "adapter.json", "adapter_config.json");
    refused(nothing, Golden.path("peft/lora_llama"), nothing.resolve("config.json").toString());
    Path lone = Files.createDirectories(folder.resolve("lone"));
    Files.copy(base("llama").resolve("config.json"), lone.resolve("config.json"));
    refused(lone, Golden.path("peft/lora_llama"), lone.toString());
  }

  @Test
  void anAdapterThatLacksAHalfOrIsOfAnotherRankIsRefused() throws IOException {
    RandomAdapter whole = RandomAdapter.of(base("llama"), config("lora"), SEED);
    List<TensorData> halves =
        whole.tensors().stream()
            .filter(t -> !t.name().endsWith("layers.1.self_attn.q_proj.lora_B"))
            .toList();
    Path half = new RandomAdapter(whole.config(), halves).write(folder.resolve("half"));
    refused(base("llama"), half, "model.layers.1.self_attn.q_proj.lora_B", "is missing", "copy");
    Path other = whole.writeForPeft(folder.resolve("other"));
    Path config = other.resolve(PeftFolder.CONFIG);
    Files.writeString(config, Files.readString(config).replaceAll("\"r\" *: *4", "\"r\" : 8"));
    refused(base("llama"), other, "lora_A", "not of rank 8");
    Path mixed = whole.write(folder.resolve("mixed"));
    Path vectors =
        RandomAdapter.of(base("llama"), config("ia3"), SEED).write(folder.resolve("vectors"));
    Files.copy(
        vectors.resolve(AdapterFolder.WEIGHTS),
        mixed.resolve(AdapterFolder.WEIGHTS),
        StandardCopyOption.REPLACE_EXISTING);
    refused(base("llama"), mixed, "ia3_scaling", "is none of lora's");
  }

  @Test
  void aFileThatWasCutOffIsRefused() throws IOException {
    Path adapter =
        RandomAdapter.of(base("llama"), config("lora"), SEED).write(folder.resolve("adapter"));
    Path weights = adapter.resolve(AdapterFolder.WEIGHTS);
    byte[] bytes = Files.readAllBytes(weights);
    Files.write(weights, Arrays.copyOf(bytes, bytes.length - 64));
    refused(base("llama"), adapter, weights.toString());
  }
}
