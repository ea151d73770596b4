package io.moextend.stage.convert;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.Golden;
import io.moextend.array.DType;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider;
import io.moextend.backend.Backends;
import io.moextend.checkpoint.CheckpointFolder;
import io.moextend.checkpoint.SafetensorsWriter;
import io.moextend.checkpoint.TensorData;
import io.moextend.checkpoint.TensorStream;
import io.moextend.checkpoint.WeightSource;
import io.moextend.config.ConfigException;
import io.moextend.config.PublishedJson;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.OptionalLong;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class LogitCheckTest {
  private static final Mixture.Balance BALANCE = new Mixture.Balance(0.001, true);
  private static final Mixture MOIIE = new Mixture.Moiie(4, 2, BALANCE, BALANCE);
  private static final long SEED = 3;

  @TempDir Path folder;

  private static Path golden(String source) {
    return Golden.path("moiie/convert_moe/" + source);
  }

  private static Backend backend(String name) {
    return Backends.open(name, new BackendProvider.Options(2, 0), DType.F32);
  }

  private static Conversion conversion(WeightSource weights, Path home, @Nullable Mixture mixture) {
    var source = new SourceModel(weights, home.resolve("config.json"), PublishedJson.read(home));
    return mixture == null
        ? ToDense.of(source, null)
        : ToMixture.of(source, mixture, new LayerChoice("odd"), OptionalLong.empty());
  }

  /** Converts with the check, and to dense where there is no mixture. */
  private static LogitReceipt converted(
      Backend backend, Path home, @Nullable Mixture mixture, Path output) {
    try (WeightSource weights = CheckpointFolder.open(home)) {
      var check = new LogitCheck(backend, () -> CheckpointFolder.open(home), 32, SEED);
      LogitReceipt logits =
          conversion(weights, home, mixture).write(home, output, Long.MAX_VALUE, check).logits();
      assertThat(logits).isNotNull();
      return logits;
    }
  }

  static Stream<Arguments> mixtures() {
    List<Mixture> both =
        List.of(MOIIE, new Mixture.Moiie(8, 3, BALANCE, BALANCE), new Mixture.Modality());
    return Stream.concat(
        Stream.of("src_phi3", "src_llama")
            .flatMap(
                source ->
                    Stream.concat(both.stream(), Stream.of(new Mixture.Vanilla(3, 2, BALANCE)))
                        .map(mixture -> Arguments.of(source, mixture))),
        Stream.of(Arguments.of("src_phi3", new Mixture.Routed(3, 2, 2, BALANCE, BALANCE))));
  }

  @ParameterizedTest
  @MethodSource("mixtures")
  void aMixtureOfCopiesSaysWhatTheDenseModelSaysAndSoDoesTheDenseModelMadeOfIt(
      String source, Mixture mixture) {
    for (String name : List.of("cpu", "nd4j")) {
      try (Backend backend = backend(name)) {
        Path there = folder.resolve(name);
        LogitReceipt logits = converted(backend, golden(source), mixture, there);
        assertAgree(logits, name);
        assertThat(logits.drawn()).hasSize(2 * mixture.routers().size());
        assertThat(logits.vision()).isEqualTo(mixture instanceof Mixture.Vanilla ? 0 : 16);
        assertAgree(converted(backend, there, null, folder.resolve(name + "-back")), name);
      }
    }
  }

  private static void assertAgree(LogitReceipt logits, String backend) {
    assertThat(logits.expected()).isTrue();
    assertThat(logits.different()).isNull();
    assertThat(logits.tokens()).isEqualTo(32);
    assertThat(logits.backend()).isEqualTo(backend);
    assertThat(logits.largestLogit()).isPositive();
    assertThat(logits.largestDifference()).isLessThan(1e-5 * logits.largestLogit());
  }

  /** Adds to the last number of a tensor. */
  private static void damage(Path model, String name, float by) throws Exception {
    Path file = model.resolve("model.safetensors");
    Path changed = model.resolve("changed.part");
    try (WeightSource weights = CheckpointFolder.open(file)) {
      SafetensorsWriter.writeFile(
          changed,
          weights.names().stream()
              .map(
                  each ->
                      each.equals(name) ? other(weights.tensor(each), by) : weights.tensor(each))
              .map(TensorStream::of)
              .toList());
    }
    Files.move(changed, file, StandardCopyOption.REPLACE_EXISTING);
  }

  private static TensorData other(TensorData tensor, float by) {
    float[] values = tensor.floats();
    values[values.length - 1] += by;
    return TensorData.of(tensor.name(), tensor.dtype(), tensor.shape(), values);
  }

  @ParameterizedTest
  @CsvSource({
    "model.layers.1.mlp.experts.1.gate_up_proj.weight, layer 1",
    "model.layers.2.mlp.down_proj.weight, layer 2",
    "model.layers.3.mlp.experts.2.down_proj.weight, layer 3"
  })
  void aDamagedExpertIsFoundAndNamed(String tensor, String layer) throws Exception {
    Path home = golden("src_phi3");
    try (WeightSource weights = CheckpointFolder.open(home);
        Backend backend = backend("cpu")) {
      Conversion conversion = conversion(weights, home, MOIIE);
      Path out = folder.resolve("out");
      conversion.write(home, out, Long.MAX_VALUE);
      damage(out, tensor, 0.5f);
      var check = new LogitCheck(backend, () -> CheckpointFolder.open(home), 64, SEED);
      assertThatThrownBy(() -> check.measure(conversion, out))
          .isInstanceOf(DifferentAnswersException.class)
          .hasMessageContaining("different from " + layer + " on")
          .hasMessageContaining(tensor + " is not the source's");
    }
  }

  @Test
  void aHeadThatIsAnotherIsNamedToo() throws Exception {
    Path home = golden("src_phi3");
    try (WeightSource weights = CheckpointFolder.open(home);
        Backend backend = backend("cpu")) {
      Conversion conversion = conversion(weights, home, new Mixture.Modality());
      Path out = folder.resolve("out");
      conversion.write(home, out, Long.MAX_VALUE);
      damage(out, "lm_head.weight", 0.5f);
      var check = new LogitCheck(backend, () -> CheckpointFolder.open(home), 64, SEED);
      assertThatThrownBy(() -> check.measure(conversion, out))
          .hasMessageContaining("different from the head on")
          .hasMessageContaining("lm_head.weight is not");
    }
  }

  @Test
  void aMixtureThatHasLearntNeedNotSayTheSameWhenItIsMadeDense() throws Exception {
    try (Backend backend = backend("cpu")) {
      Path there = folder.resolve("there");
      converted(backend, golden("src_phi3"), MOIIE, there);
      damage(there, "model.layers.3.mlp.experts.3.down_proj.weight", 0.5f);
      LogitReceipt logits = converted(backend, there, null, folder.resolve("back"));
      assertThat(logits.expected()).isFalse();
      assertThat(logits.different()).isEqualTo("layer 3");
      assertThat(logits.text()).contains("not copies of each other");
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {-1, 7, 5000})
  void tooFewOrTooManyTokensAreRefused(int tokens) {
    try (Backend backend = backend("cpu")) {
      assertThatThrownBy(
              () ->
                  new LogitCheck(
                      backend, () -> CheckpointFolder.open(golden("src_phi3")), tokens, SEED))
          .isInstanceOf(ConfigException.class)
          .hasMessageContaining("--check-tokens=" + tokens);
    }
  }
}
