package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.moextend.Golden;
import io.moextend.GoldenModels;
import io.moextend.array.DType;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider;
import io.moextend.backend.Backends;
import io.moextend.checkpoint.CheckpointFolder;
import io.moextend.checkpoint.SafetensorsFile;
import io.moextend.checkpoint.TensorData;
import io.moextend.checkpoint.WeightSource;
import io.moextend.config.DecoderConfig;
import io.moextend.config.FeedForwardConfig;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.config.VisionConfig;
import io.moextend.stage.CountingMode;
import io.moextend.stage.ExtensionPlan;
import io.moextend.stage.InitReceipt;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Against what the published init_expert.py wrote. */
class InitExpertCommandTest {
  private static final JsonMapper JSON = JsonMapper.builder().build();
  private static final double INITIALIZER_RANGE = 0.02;

  @TempDir Path folder;
  private Path model = Path.of("");
  private Path plan = Path.of("");
  private Path grown = Path.of("");

  @BeforeEach
  void modelAndPlan() throws IOException {
    model = GoldenModels.afterExtension(folder.resolve("after"));
    plan = folder.resolve("extension.json");
    grown = folder.resolve("grown");
    plan(3, 8).write(plan);
  }

  private static ExtensionPlan plan(int layers, int experts) {
    return new ExtensionPlan(
        ExtensionPlan.FORMAT,
        CountingMode.PAPER,
        layers,
        experts,
        List.of(new ExtensionPlan.Extended(0, 7), new ExtensionPlan.Extended(2, 3)),
        List.of(),
        List.of(),
        new ExtensionPlan.Source("", "", "train.json", 4, 156));
  }

  private Ran run(Path from, Object... more) {
    Object[] all = {"init-expert", "--model", from, "--plan", plan, "--output", grown};
    Object[] args = Arrays.copyOf(all, all.length + more.length);
    System.arraycopy(more, 0, args, all.length, more.length);
    return Ran.moextend(args);
  }

  private void grow(Object... more) {
    Ran ran = run(model, more);
    assertThat(ran.code()).as(ran.out() + ran.err()).isZero();
  }

  private static void assertSameBytes(TensorData got, TensorData wanted) {
    assertThat(got.dtype()).isEqualTo(wanted.dtype());
    assertThat(got.shape()).as(wanted.name()).isEqualTo(wanted.shape());
    assertThat(got.bytes().mismatch(wanted.bytes())).as(wanted.name()).isEqualTo(-1);
  }

  @Test
  void theNewTensorsAreThePublishedOnesAndTheOldOnesAreCarriedOver() {
    grow("--receipt-length", 0);
    try (WeightSource got = CheckpointFolder.open(grown);
        WeightSource old = CheckpointFolder.open(model);
        WeightSource added =
            SafetensorsFile.open(Golden.path("moextend/moextend_init/expected_new.safetensors"))) {
      Set<String> wanted = new TreeSet<>(old.names());
      wanted.addAll(added.names());
      assertThat(got.names()).containsExactlyInAnyOrderElementsOf(wanted);
      old.names().forEach(name -> assertSameBytes(got.tensor(name), old.tensor(name)));
      added.names().stream()
          .filter(name -> !name.endsWith("weight_scale.0.weight"))
          .forEach(name -> assertSameBytes(got.tensor(name), added.tensor(name)));
    }
  }

  @Test
  void theCalibrationStartsRandomThenZero() {
    grow("--receipt-length", 0);
    try (WeightSource got = CheckpointFolder.open(grown)) {
      float[][] first = new float[2][];
      for (int i = 0; i < 2; i++) {
        String name =
            "model.layers.%d.block_sparse_moe.weight_scale.weight_scale.".formatted(2 * i);
        TensorData random = got.tensor(name + "0.weight");
        assertThat(random.shape()).containsExactly(16, 9);
        first[i] = random.floats();
        assertThat(got.tensor(name + "2.weight").shape()).containsExactly(9, 16);
        assertThat(got.tensor(name + "2.weight").floats()).containsOnly(0f);
      }
      assertThat(first[0]).isNotEqualTo(first[1]);
      double sum = 0;
      double squares = 0;
      int count = 2 * 16 * 9;
      for (float[] layer : first) {
        for (float value : layer) {
          sum += value;
          squares += (double) value * value;
        }
      }
      // four standard errors of 288 draws
      assertThat(sum / count).isEqualTo(0, within(4 * INITIALIZER_RANGE / Math.sqrt(count)));
      assertThat(Math.sqrt(squares / count))
          .isEqualTo(INITIALIZER_RANGE, within(4 * INITIALIZER_RANGE / Math.sqrt(2.0 * count)));
    }
  }

  @Test
  void theSeedAloneDecidesTheRandomMatrices() throws IOException {
    grow("--receipt-length", 0, "--seed", 1);
    byte[] one = Files.readAllBytes(grown.resolve("model.safetensors"));
    grow("--receipt-length", 0, "--seed", 1);
    assertThat(Files.readAllBytes(grown.resolve("model.safetensors"))).isEqualTo(one);
    grow("--receipt-length", 0, "--seed", 2);
    assertThat(Files.readAllBytes(grown.resolve("model.safetensors"))).isNotEqualTo(one);
  }

  @Test
  void theConfigurationSaysWhatThePublishedOneSays() throws IOException {
    grow("--receipt-length", 0);
    DecoderConfig got = HuggingFaceConfig.read(grown).decoder();
    DecoderConfig wanted =
        HuggingFaceConfig.read(Golden.path("moextend/moextend_init/expected_config.json"))
            .decoder();
    VisionConfig vision = Objects.requireNonNull(got.vision());
    assertThat(vision.imageStart()).isEqualTo(Objects.requireNonNull(wanted.vision()).imageStart());
    // the published file leaves the tower's sizes out
    assertThat(
            new DecoderConfig(
                got.modelType(),
                got.vocab(),
                got.hidden(),
                got.layers(),
                got.heads(),
                got.rope(),
                got.window(),
                got.normEps(),
                got.initializerRange(),
                got.tiedHead(),
                got.feedForward(),
                got.tokens(),
                wanted.vision()))
        .isEqualTo(wanted);
    ObjectNode file = HuggingFaceConfig.read(grown).json();
    assertThat(file.get("num_local_experts").asInt()).isEqualTo(9);
    assertThat(file.get("add_layer")).isEqualTo(JSON.readTree("[0, 2]"));
    assertThat(((FeedForwardConfig.Experts) got.feedForward()).count()).isEqualTo(8);
    assertThat(ExtensionPlan.read(grown.resolve("extension.json"))).isEqualTo(plan(3, 8));
    assertThat(grown.resolve("preprocessor_config.json")).exists();
  }

  @ParameterizedTest
  @CsvSource({"cpu, f32", "nd4j, f32", "cpu, bf16"})
  void theReceiptIsNothingMasked(String backend, String dtype) {
    Ran ran = run(model, "--backend", backend, "--dtype", dtype, "--receipt-length", 24);
    assertThat(ran.code()).as(ran.out() + ran.err()).isZero();
    var receipt =
        Pattern.compile("over 48 tokens: largest logit change (\\S+) with .*masked, (\\S+) un")
            .matcher(ran.out());
    assertThat(receipt.find()).as(ran.out()).isTrue();
    assertThat(Double.parseDouble(receipt.group(1))).isZero();
    assertThat(Double.parseDouble(receipt.group(2))).isFinite().isGreaterThan(1e-3);
  }

  @Test
  void theReceiptIsNotNothingWhereAnOldTensorMoved() {
    grow("--receipt-length", 0);
    Path other = GoldenModels.beforeExtension(); // its gates are those before their training
    try (Backend backend = Backends.open("cpu", new BackendProvider.Options(2, 0))) {
      InitReceipt receipt =
          InitReceipt.measure(
              backend,
              DType.F32,
              HuggingFaceConfig.read(other).decoder(),
              HuggingFaceConfig.read(grown).decoder(),
              () -> CheckpointFolder.open(other),
              () -> CheckpointFolder.open(grown),
              24,
              42);
      assertThat(receipt.masked()).isGreaterThan(1e-4);
    }
  }

  @ParameterizedTest
  @CsvSource({"cpu", "nd4j"})
  void theGrownModelTracesAsThePublishedOne(String backend) {
    grow("--receipt-length", 0);
    Path traced = folder.resolve("traced.safetensors");
    Path published = Golden.path("moextend/moextend_ft");
    Ran ran =
        Ran.moextend(
            "trace",
            "--model",
            grown,
            "--inputs",
            published.resolve("inputs.safetensors"),
            "--output",
            traced,
            "--backend",
            backend);
    assertThat(ran.code()).as(ran.err()).isZero();
    try (WeightSource got = SafetensorsFile.open(traced);
        WeightSource wanted = SafetensorsFile.open(published.resolve("expected.safetensors"))) {
      // W2 = 0: the random first matrix changes nothing yet
      for (String name : List.of("router_logits.0", "router_logits.2", "logits", "loss")) {
        float[] a = got.tensor(name).floats();
        float[] b = wanted.tensor(name).floats();
        assertThat(a).hasSameSizeAs(b);
        for (int i = 0; i < a.length; i++) {
          assertThat((double) a[i])
              .as("%s[%d]", name, i)
              .isEqualTo(b[i], within(2e-5 + 2e-4 * Math.abs(b[i])));
        }
      }
    }
  }

  private void assertRefused(Ran ran, Object... said) {
    assertThat(ran.code()).as(ran.out() + ran.err()).isEqualTo(2);
    for (Object part : said) {
      assertThat(ran.err()).contains(part.toString());
    }
    assertThat(grown).doesNotExist();
    assertThat(folder.resolve("grown.incomplete")).doesNotExist();
  }

  @Test
  void aPlanForAnotherModelIsRefused() {
    plan(4, 8).write(plan);
    assertRefused(run(model), plan, model, "4 layers of 8 experts, the model has 3 of 8");
    plan(3, 9).write(plan);
    assertRefused(run(model), plan, "3 layers of 9 experts, the model has 3 of 8");
  }

  @Test
  void aPlanThatLacksAFieldIsRefused() throws IOException {
    var json = (ObjectNode) JSON.readTree(plan.toFile());
    json.remove("extended");
    JSON.writeValue(plan.toFile(), json);
    assertRefused(run(model), plan, "extended");
  }

  @Test
  void aPlanThatIsMissingIsRefused() throws IOException {
    Files.delete(plan);
    assertRefused(run(model), plan);
  }

  @Test
  void aModelThatIsExtendedAlreadyIsRefused() {
    Path extended = Golden.path("moextend/moextend_ft");
    assertRefused(run(extended), extended, "add_layer=[0, 2]", "already");
  }

  @Test
  void anUnknownFlagIsRefused() {
    assertRefused(run(model, "--receipt-lenght", 8), "--receipt-lenght");
  }

  @Test
  void aModelThatIsNoneIsRefused() {
    assertRefused(run(folder.resolve("nowhere")), folder.resolve("nowhere"));
  }

  @Test
  void theModelItselfIsNotReplaced() throws IOException {
    byte[] before = Files.readAllBytes(model.resolve("model.safetensors"));
    Ran ran = Ran.moextend("init-expert", "--model", model, "--plan", plan, "--output", model);
    assertThat(ran.code()).isEqualTo(2);
    assertThat(ran.err()).contains(model.toString(), "name another folder");
    assertThat(Files.readAllBytes(model.resolve("model.safetensors"))).isEqualTo(before);
  }
}
