package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.Golden;
import io.moextend.GoldenComparison;
import io.moextend.GoldenT5Comparison;
import io.moextend.adapter.AdapterFolder;
import io.moextend.adapter.StoredAdapter;
import io.moextend.checkpoint.SafetensorsFile;
import io.moextend.checkpoint.WeightSource;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.config.T5Config;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** T5 and its adapters by the command line alone: the reference cases under their own names. */
class TraceAdaptTest {
  @TempDir Path folder;

  @ParameterizedTest(name = "{1} on {0} from step {2}")
  @CsvSource({
    "cpu, molora, 0",
    "cpu, molora, 1100000",
    "nd4j, mov, 1100000",
    "cpu, t5_base, 1100000"
  })
  void everyTensorOfAReferenceCaseIsReproduced(String backend, String name, long start)
      throws Exception {
    Path given = Golden.path("mov/" + name);
    Path traced =
        traced(
            backend,
            given,
            "--gradients",
            "--adafactor-steps",
            3,
            "--start-step",
            start,
            "--learning-rate",
            GoldenT5Comparison.rate(given));
    try (var got = SafetensorsFile.open(traced);
        var expected = SafetensorsFile.open(given.resolve("expected.safetensors"))) {
      var comparison = new GoldenT5Comparison(given, start);
      assertThat(comparison.wanted(expected)).hasSizeGreaterThan(100);
      assertThat(comparison.wrong(got, expected)).isEmpty();
    }
  }

  @Test
  void huggingFacesT5IsReproducedAlsoAtPadding() throws Exception {
    Path given = Golden.path("hf/hf_t5");
    Path traced =
        traced(
            "cpu",
            given,
            "--gradients",
            "--adamw-steps",
            3,
            "--learning-rate",
            0.001,
            "--weight-decay",
            0.01,
            "--max-grad-norm",
            1);
    try (var got = SafetensorsFile.open(traced);
        var expected = SafetensorsFile.open(given.resolve("expected.safetensors"))) {
      var all = got.names().stream().map(got::tensor).toList();
      // one element of this moves with rounding in the original too
      String rounding = "after.encoder.block.0.layer.1.DenseReluDense.wo.weight";
      assertThat(GoldenComparison.wrong(all, expected, name -> !name.equals(rounding))).isEmpty();
    }
  }

  @Test
  void anAdapterMayLieInAFolderOfItsOwn() throws Exception {
    Path molora = Golden.path("mov/molora");
    Path own = folder.resolve("own");
    StoredAdapter stored = StoredAdapter.open(molora, t5());
    try (WeightSource weights = stored.weights()) {
      AdapterFolder.write(
          own, stored.config(), weights.names().stream().map(weights::tensor).toList());
    }
    Path base = Golden.path("mov/t5_base");
    Path apart = traced("cpu", base, "--adapter", own);
    Path together = traced("cpu", molora);
    try (var a = SafetensorsFile.open(apart);
        var b = SafetensorsFile.open(together)) {
      assertThat(a.tensor("packed.logits").floats()).isEqualTo(b.tensor("packed.logits").floats());
    }
  }

  @Test
  void anAdapterOfWhichNothingSaysWhatItIsIsRefused() throws Exception {
    Path bare = Files.createDirectories(folder.resolve("bare"));
    Path weights = bare.resolve(AdapterFolder.WEIGHTS);
    Files.copy(Golden.path("mov/lora").resolve(AdapterFolder.WEIGHTS), weights);
    assertThatThrownBy(() -> StoredAdapter.open(bare, t5()).weights().close())
        .hasMessage(weights + ": has no adapter.json beside it that says what it is");
    assertThatThrownBy(() -> StoredAdapter.open(folder, t5()).weights().close())
        .hasMessageStartingWith(folder + ": has neither adapter.json nor adapter_config.json");
  }

  @Test
  void anAdapterOfADecoderIsTraced() throws Exception {
    Path traced =
        traced(
            "cpu",
            Golden.path("hf/hf_llama"),
            "--adapter",
            Golden.path("peft/lora_llama"),
            "--gradients",
            "--adamw-steps",
            1,
            "--learning-rate",
            0.01);
    try (var got = SafetensorsFile.open(traced)) {
      assertThat(got.names())
          .filteredOn(name -> name.startsWith("grad.") || name.startsWith("after."))
          .isNotEmpty()
          .allMatch(name -> name.endsWith(".lora_A") || name.endsWith(".lora_B"));
      assertThat(got.names()).anyMatch(name -> name.startsWith("adapter_output."));
    }
  }

  @ParameterizedTest
  @CsvSource({
    "mov/molora, --adafactor-steps 1, --learning-rate=0.0: must be positive",
    "mov/molora, --prefix plain., --prefix: is not for a T5",
    "mov/molora, --adamw-steps 1 --learning-rate 1, --adamw-steps=1: is for a file with one batch",
    "mov/molora, --weight-decay 1, --weight-decay: is for --adamw-steps",
    "mov/molora, --start-step 4, --start-step=4: needs --adafactor-steps",
    "mov/molora, --stage sft, --stage=sft: of a T5",
    "hf/hf_llama, --adafactor-steps 1, --adafactor-steps: is for a T5",
    "hf/hf_llama, --stage adapt, name one with --adapter"
  })
  void whatDoesNotApplyIsRefusedByItsName(String model, String options, String said) {
    Path given = Golden.path(model);
    var words = new ArrayList<Object>(List.of("trace", "--model", given, "--backend", "cpu"));
    words.addAll(List.of("--inputs", given.resolve("inputs.safetensors")));
    words.addAll(List.of("--output", folder.resolve("none.safetensors")));
    words.addAll(List.of((Object[]) options.split(" ")));
    Ran ran = Ran.moextend(words.toArray());
    assertThat(ran.code()).isEqualTo(2);
    assertThat(ran.err()).contains(said);
  }

  private static T5Config t5() {
    return HuggingFaceConfig.read(Golden.path("mov/t5_base")).t5();
  }

  private Path traced(String backend, Path model, Object... more) throws Exception {
    Path inputs = model.resolve("inputs.safetensors");
    Path out = Files.createTempDirectory(folder, "out").resolve("traced.safetensors");
    var words =
        new ArrayList<Object>(
            List.of("trace", "--backend", backend, "--model", model, "--inputs", inputs));
    words.addAll(List.of("--output", out, "--stage", "adapt"));
    words.addAll(List.of(more));
    Ran ran = Ran.moextend(words.toArray());
    assertThat(ran.code()).as(ran.err()).isZero();
    return out;
  }
}
