package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.moextend.checkpoint.TensorData;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** convert-moe says that the converted model answers as its source does, or that it does not. */
class ConvertMoeLogitsTest {
  @TempDir Path folder;

  private Path out() {
    return folder.resolve("out");
  }

  @ParameterizedTest
  @CsvSource({
    "moiie, src_phi3, 32, 4",
    "vanilla-moe, src_llama, 0, 2",
    "modality-moe, src_llama, 32, 0",
    "routed-modality-moe, src_phi3, 32, 4"
  })
  void theReceiptTellsTheLargestDifference(
      String architecture, String source, int vision, int drawn) {
    Ran ran = Converted.run(architecture, Converted.golden(source), out());
    assertThat(ran.code()).as(ran.err()).isZero();
    assertThat(ran.out()).contains("logits of 64 random tokens", "largest difference");
    JsonNode logits = new Converted(out()).receipt().get("logits");
    assertThat(logits.get("tokens").intValue()).isEqualTo(64);
    assertThat(logits.get("vision").intValue()).isEqualTo(vision);
    assertThat(logits.get("expected").booleanValue()).isTrue();
    assertThat(logits.get("different").isNull()).isTrue();
    assertThat(logits.get("drawn")).hasSize(drawn);
    assertThat(logits.get("largestDifference").doubleValue())
        .isLessThan(1e-5 * logits.get("largestLogit").doubleValue());
  }

  @Test
  void routersThatAreWrittenAreTheOnesThatAreAsked() {
    Converted got = Converted.by("moiie", Converted.golden("src_phi3"), out(), "--write-routers");
    assertThat(got.receipt().get("logits").get("drawn")).isEmpty();
  }

  @Test
  void theCheckCanBeLeftOutAndRunOnTheOtherBackend() {
    Converted got = Converted.by("moiie", Converted.golden("src_phi3"), out(), "--check-tokens", 0);
    assertThat(got.receipt().get("logits").isNull()).isTrue();
    Path other = folder.resolve("other");
    got = Converted.by("moiie", Converted.golden("src_phi3"), other, "--backend", "nd4j");
    assertThat(got.receipt().get("logits").get("backend").textValue()).isEqualTo("nd4j");
  }

  @Test
  void aModelWhoseAnswersAreNoNumbersLeavesNothingAndEndsWithThree() {
    Path source = Converted.source("src_phi3", folder.resolve("source"));
    Converted.rewrite(
        source,
        tensor -> {
          if (!tensor.name().equals("model.layers.2.self_attn.o_proj.weight")) {
            return List.of(tensor);
          }
          float[] values = tensor.floats();
          values[0] = Float.NaN;
          return List.of(TensorData.of(tensor.name(), tensor.dtype(), tensor.shape(), values));
        });
    Ran ran = Converted.run("moiie", source, out());
    assertThat(ran.code()).as(ran.out() + ran.err()).isEqualTo(3);
    assertThat(ran.err()).contains("different from layer 2 on").doesNotContain("\tat ");
    assertThat(out()).doesNotExist();
    assertThat(folder.resolve("out.incomplete")).doesNotExist();
  }

  @ParameterizedTest
  @CsvSource({
    "--check-tokens 7, --check-tokens=7: give 8 to 4096",
    "--check-tokens -1, --check-tokens=-1:",
    "--dtype bf16, logits are compared in f32",
    "--backend abacus, abacus"
  })
  void optionsOfTheCheckThatMakeNoSense(String options, String said) {
    Ran ran =
        Converted.run("moiie", Converted.golden("src_phi3"), out(), (Object[]) options.split(" "));
    assertThat(ran.code()).isEqualTo(2);
    assertThat(ran.err()).contains(said);
    assertThat(out()).doesNotExist();
  }

  @Test
  void aModelThatCanBeConvertedButNotRunIsConvertedWithoutTheCheck() throws Exception {
    Path source = Converted.source("src_llama", folder.resolve("source"));
    ObjectNode config = Converted.config(source);
    config.put("hidden_act", "gelu");
    Converted.JSON.writeValue(source.resolve("config.json").toFile(), config);
    Ran ran = Converted.run("moiie", source, out());
    assertThat(ran.code()).isEqualTo(2);
    assertThat(ran.err()).contains("hidden_act", "--check-tokens 0 leaves it out");
    assertThat(out()).doesNotExist();
    Converted.by("moiie", source, out(), "--check-tokens", 0);
  }
}
