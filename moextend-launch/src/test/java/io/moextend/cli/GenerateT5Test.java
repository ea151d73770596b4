package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.Golden;
import io.moextend.array.DType;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider;
import io.moextend.backend.Backends;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.config.T5Config;
import io.moextend.eval.AdaptedT5;
import io.moextend.eval.T5Answer;
import io.moextend.text.Tokenizer;
import io.moextend.train.RandomModel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A random T5, alone and with adapters made for its widths, asked by the command line. */
class GenerateT5Test {
  private static final Path TOKENIZER = Golden.path("prompted/tokenizer");
  private static final Path ADAPTER = Golden.path("peft/ia3_t5");
  private static final String PROMPT = "Is this positive?";
  private static final int MOST = 12;

  @TempDir static Path shared;
  static Path model;

  @BeforeAll
  static void makeModel() {
    model = shared.resolve("model");
    T5Config config = T5Config.v11(112, 32, 8, 4, 48, 2, 2);
    try (Backend backend = opened()) {
      RandomModel.write(
          backend, HuggingFaceConfig.of(config), DType.F32, 7, List.of(TOKENIZER), model);
    }
  }

  @SuppressWarnings("MustBeClosedChecker") // closed by the caller
  private static Backend opened() {
    return Backends.open("cpu", new BackendProvider.Options(2, 0));
  }

  /** In f32, with the prompt and as many new tokens as the test has, unless said. */
  private static Ran generate(Path model, Object... more) {
    var words = new ArrayList<Object>(List.of("generate", "--model", model));
    words.addAll(Arrays.asList(more));
    Map.of("--prompt", PROMPT, "--max-new-tokens", MOST, "--dtype", "f32")
        .forEach(
            (option, value) -> {
              if (!words.contains(option)) {
                words.addAll(List.of(option, value));
              }
            });
    return Ran.moextend(words.toArray());
  }

  private static String wanted(@Nullable Path adapter) {
    try (Backend backend = opened();
        Tokenizer tokenizer = Tokenizer.open(TOKENIZER);
        AdaptedT5 t5 = AdaptedT5.open(model, adapter, backend, DType.F32)) {
      int[] ids =
          new T5Answer(backend, t5.model())
              .to(tokenizer.encode(PROMPT), MOST, token -> token == 1, token -> {});
      return tokenizer.decode(ids).strip();
    }
  }

  @Test
  void theAnswerIsAllOfTheOutputAndTheRatesAreBesideIt() {
    Ran ran = generate(model, "--backend", "cpu");
    assertThat(ran.code()).as(ran.err()).isZero();
    assertThat(ran.out()).isEqualTo(wanted(null) + System.lineSeparator()).isNotBlank();
    assertThat(ran.err()).matches("prompt of 9 tokens in .*\\R");
    assertThat(generate(model, "--backend", "nd4j").out()).isEqualTo(ran.out());
    assertThat(generate(model, "--backend", "cpu", "--dtype", "bf16").code()).isZero();
  }

  @Test
  void anAdapterChangesTheAnswer() {
    Ran ran = generate(model, "--backend", "cpu", "--adapter", ADAPTER);
    assertThat(ran.code()).as(ran.err()).isZero();
    assertThat(ran.out().strip()).isEqualTo(wanted(ADAPTER)).isNotEqualTo(wanted(null));
  }

  @ParameterizedTest
  @CsvSource({
    "--image cat.jpg, --image: means nothing to a T5",
    "--conv-mode plain, --conv-mode: means nothing to a T5",
    "--max-new-tokens 5000, --max-new-tokens=5000: is too many for a T5",
    "--max-new-tokens 0, --max-new-tokens=0: must be at least 1",
    "--tokenizer ., tokenizer",
    "--adapter ., has neither adapter.json"
  })
  void whatDoesNotApplyIsRefusedByItsName(String options, String said) {
    refused(generate(model, (Object[]) options.split(" ")), said);
  }

  @Test
  void whatIsNotTheModelsIsRefused() {
    refused(generate(Golden.path("hf/hf_t5"), "--tokenizer", TOKENIZER), "name the model's own");
    refused(generate(model, "--prompt", " "), "--prompt= : has no tokens");
    refused(generate(model, "--prompt", "this ".repeat(5000)), "at most 4096");
    refused(
        generate(model, "--adapter", Golden.path("peft/lora_llama")), "this model's layers are");
  }

  private static void refused(Ran ran, String said) {
    assertThat(ran.code()).as(ran.err()).isEqualTo(2);
    assertThat(ran.err().strip().lines()).hasSize(1);
    assertThat(ran.err()).contains(said);
  }
}
