package io.moextend.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.moextend.Golden;
import io.moextend.HeldTensors;
import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.GradientSink;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider.Options;
import io.moextend.backend.Backends;
import io.moextend.checkpoint.CheckpointException;
import io.moextend.checkpoint.SafetensorsFile;
import io.moextend.checkpoint.SafetensorsWriter;
import io.moextend.checkpoint.TensorData;
import io.moextend.checkpoint.TensorStream;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.config.T5Config;
import io.moextend.model.T5Loss.Normalizer;
import io.moextend.nn.SitePass;
import io.moextend.nn.Sites;
import io.moextend.op.Dropout;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class T5Test {
  private static final String BASE = "mov/t5_base";

  @TempDir Path folder;

  @ParameterizedTest(name = "{0}")
  @CsvSource({
    "tiny, 1, 2, 16, 32, 128, 2093408",
    "small, 8, 6, 64, 512, 1024, 76961152",
    "base, 12, 12, 64, 768, 2048, 247577856",
    "large, 24, 16, 64, 1024, 2816, 783150080",
    "xl, 24, 32, 64, 2048, 5120, 2849757184",
    "xxl, 24, 64, 64, 4096, 10240, 11135332352"
  })
  void everyPublishedSizeHasItsNumberOfParameters(
      String size, int layers, int heads, int headSize, int hidden, int width, long parameters) {
    try (Backend backend = Backends.open("cpu", new Options(1, 0))) {
      var listed = new ListedParameters(backend);
      var config = T5Config.v11(32128, hidden, headSize, heads, width, layers, layers);
      new T5(listed, config, Sites.NONE).close();
      assertThat(listed.size()).isEqualTo(parameters);
      assertThat(backend.memory().peakBytes()).isZero();
    }
  }

  @Test
  void distancesFallIntoTheOriginalsBuckets() {
    var encoder = new T5Buckets(32, 128, true);
    int[] starts = {8, 12, 16, 23, 32, 46, 64, 91};
    for (int d = 0; d < 2000; d++) {
      int want = d < 8 ? d : 7;
      for (int start : starts) {
        want += d >= start ? 1 : 0;
      }
      assertThat(encoder.of(-d)).as("-%d", d).isEqualTo(want);
      assertThat(encoder.of(d)).as("%d", d).isEqualTo(d == 0 ? 0 : 16 + want);
    }
    var decoder = new T5Buckets(32, 128, false);
    int[] later = {16, 19, 21, 24, 27, 31, 35, 40, 46, 52, 59, 67, 77, 87, 99, 113};
    for (int d = 0; d < 2000; d++) {
      int want = Math.min(d, 15);
      for (int start : later) {
        want += d >= start ? 1 : 0;
      }
      assertThat(decoder.of(-d)).as("-%d", d).isEqualTo(want);
      assertThat(decoder.of(d)).isZero();
    }
  }

  @Test
  void examplesInOneRowGiveWhatTheyGiveAlone() {
    try (var c = new T5Case("cpu", BASE)) {
      T5Batch packed = c.batch("packed");
      float[] together = logits(c, packed);
      int vocab = c.model.config().vocab();
      for (int row = 0; row < packed.rows(); row++) {
        for (int segment = 1; segment <= 2; segment++) {
          int[] inputs =
              part(packed.inputs(), packed.inputSegments(), packed.inputLength(), row, segment);
          int[] at = places(packed.targetSegments(), packed.targetLength(), row, segment);
          int[] targets =
              part(packed.targets(), packed.targetSegments(), packed.targetLength(), row, segment);
          float[] alone = logits(c, T5Batch.plain(1, inputs, targets, 0));
          for (int t = 0; t < targets.length; t++) {
            for (int v = 0; v < vocab; v++) {
              assertThat(together[at[t] * vocab + v])
                  .as("row %d segment %d token %d", row, segment, t)
                  .isCloseTo(alone[t * vocab + v], within(2e-5f));
            }
          }
        }
      }
    }
  }

  private static float[] logits(T5Case c, T5Batch batch) {
    Tape tape = Tape.off(c.backend, c.arena);
    Tensor decoder = c.model.forward(tape, batch, T5.Pass.PLAIN).decoder();
    return c.backend.toFloats(c.arena, c.model.logits(tape, decoder).data());
  }

  private static int[] places(int[] segments, int length, int row, int segment) {
    return IntStream.range(row * length, (row + 1) * length)
        .filter(at -> segments[at] == segment)
        .toArray();
  }

  private static int[] part(int[] ids, int[] segments, int length, int row, int segment) {
    return IntStream.of(places(segments, length, row, segment)).map(at -> ids[at]).toArray();
  }

  @Test
  void aModelIsWrittenBackByteForByte() throws IOException {
    Path file = Golden.path(BASE + "/model.safetensors");
    try (var c = new T5Case("cpu", BASE, DType.F32, ParameterChoice.NONE, (b, a) -> Sites.NONE)) {
      var tensors = new ArrayList<TensorStream>();
      c.model.visit(
          p ->
              tensors.add(
                  TensorStream.of(
                      TensorData.of(p.name(), p.shape(), c.backend.toFloats(c.arena, p.data())))));
      Path written = folder.resolve("written");
      Path copied = folder.resolve("copied");
      SafetensorsWriter.writeFile(written, tensors);
      try (var was = SafetensorsFile.open(file)) {
        SafetensorsWriter.writeFile(copied, TensorStream.all(was));
      }
      assertThat(Files.mismatch(written, copied)).isEqualTo(-1);
    }
  }

  @Test
  void frozenWeightsStayInTheMappedFile() {
    try (Backend backend = Backends.open("cpu", new Options(1, 0))) {
      long before = backend.memory().liveBytes();
      try (var c =
          OpenT5.of(
              SafetensorsFile.open(Golden.path(BASE + "/model.safetensors")),
              config(),
              backend,
              DType.F32,
              ParameterChoice.NONE,
              Sites.NONE)) {
        assertThat(backend.memory().liveBytes()).isEqualTo(before);
        assertThat(c.model().parameters()).noneMatch(Parameter::requiresGrad);
      }
    }
  }

  private static T5Config config() {
    return HuggingFaceConfig.read(Golden.path(BASE)).t5();
  }

  @Test
  void theHeadIsTheFilesOwnWhereItHasOneAndElseTheEmbedding() {
    try (Backend backend = Backends.open("cpu", new Options(1, 0))) {
      T5Config tied = config().withHead(true);
      try (var c = opened(backend, held("lm_head.weight", false), tied)) {
        assertThat(c.model().config().tiedHead()).isFalse();
      }
      try (var c = opened(backend, held("lm_head.weight", true), tied)) {
        assertThat(c.model().config().tiedHead()).isTrue();
        assertThat(c.model().units().getLast()).hasSize(1);
      }
      assertThatThrownBy(() -> opened(backend, held("lm_head.weight", true), config()))
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining("lm_head.weight");
    }
  }

  @SuppressWarnings("MustBeClosedChecker") // the caller closes it
  private static OpenT5 opened(Backend backend, HeldTensors source, T5Config config) {
    return OpenT5.of(source, config, backend, DType.F32, ParameterChoice.NONE, Sites.NONE);
  }

  /** The base's tensors, with the copies of the embedding that old files have. */
  private static HeldTensors held(String name, boolean without) {
    var tensors = new TreeMap<String, TensorData>();
    try (var file = SafetensorsFile.open(Golden.path(BASE + "/model.safetensors"))) {
      for (String tensor : file.names()) {
        TensorData data = file.tensor(tensor);
        tensors.put(tensor, TensorData.of(tensor, data.shape(), data.floats()));
      }
    }
    TensorData shared = tensors.get("shared.weight");
    tensors.put("encoder.embed_tokens.weight", shared.named("encoder.embed_tokens.weight"));
    tensors.put("decoder.embed_tokens.weight", shared.named("decoder.embed_tokens.weight"));
    if (without) {
      tensors.remove(name);
    }
    return new HeldTensors(tensors);
  }

  @Test
  void unitsFollowTheForwardPassAndTheirGradientsAreDoneWhenTheyAreReached() {
    try (var c = new T5Case("cpu", BASE)) {
      var unitOf = new HashMap<String, Integer>();
      List<List<Parameter>> units = c.model.units();
      for (int u = 0; u < units.size(); u++) {
        for (Parameter p : units.get(u)) {
          unitOf.put(p.name(), u);
        }
      }
      assertThat(units).hasSize(6);
      assertThat(unitOf).hasSize(c.model.parameters().size());
      var reached = new ArrayList<Integer>();
      var sink =
          new GradientSink() {
            @Override
            public void accept(Parameter parameter, Array gradient) {
              int unit = unitOf.get(parameter.name());
              assertThat(reached).as(parameter.name()).noneMatch(r -> r <= unit);
            }

            @Override
            public void reached(int unit) {
              reached.add(unit);
            }
          };
      T5Batch batch = c.batch("packed");
      Tape tape = Tape.recording(c.backend, c.arena, sink);
      Tensor decoder = c.model.forward(tape, batch, T5.Pass.PLAIN).decoder();
      var targets = T5Loss.PUBLISHED.targets(c.backend, c.arena, batch, 0, DType.F32);
      var terms = T5Loss.PUBLISHED.of(tape, c.model, decoder, targets, 1);
      Array one = c.arena.allocate(DType.F32, 1);
      c.backend.fillInto(one, 1);
      tape.backward(terms.total(), one);
      assertThat(reached).containsExactly(5, 4, 3, 2, 1);
    }
  }

  @Test
  void withDropoutAStepIsTheSameForItsSeedAloneCheckpointedOrNot() {
    try (var c = new T5Case("cpu", BASE)) {
      float[] plain = output(c, null, false);
      float[] first = output(c, new Dropout(0.1, 1), false);
      assertThat(output(c, new Dropout(0.1, 1), true)).isEqualTo(first);
      assertThat(output(c, new Dropout(0.1, 2), false)).isNotEqualTo(first);
      assertThat(first).isNotEqualTo(plain);
      assertThat(output(c, new Dropout(0, 1), false)).isEqualTo(plain);
    }
  }

  private static float[] output(T5Case c, Dropout dropout, boolean checkpointing) {
    Tape tape = Tape.recording(c.backend, c.arena, (p, d) -> {});
    var pass = new T5.Pass(checkpointing, dropout, Watch.NONE, SitePass.QUIET);
    Tensor decoder = c.model.forward(tape, c.batch("plain"), pass).decoder();
    return c.backend.toFloats(c.arena, decoder.data());
  }

  @Test
  void aFreshModelHasTheOriginalsSpreads() {
    try (Backend backend = Backends.open("cpu", new Options(2, 0));
        Arena arena = backend.arena("test")) {
      var config = T5Config.v11(4000, 64, 16, 4, 128, 1, 1);
      var from =
          new FreshParameters(
              backend, arena, DType.F32, ParameterChoice.ALL, new T5Start(config), 3);
      Map<String, Parameter> all = new HashMap<>();
      try (var model = new T5(from, config, Sites.NONE)) {
        model.visit(p -> all.put(p.name(), p));
        String attention = "encoder.block.0.layer.0.SelfAttention.";
        spread(backend, arena, all.get("shared.weight"), 1, 6);
        spread(backend, arena, all.get(attention + "q.weight"), 1.0 / 8 / 4, 1);
        spread(backend, arena, all.get(attention + "k.weight"), 1.0 / 8, 1);
        spread(backend, arena, all.get("lm_head.weight"), 1.0 / 8, 2.0 / 8 / 0.87962566);
        String network = "decoder.block.0.layer.2.DenseReluDense.";
        spread(backend, arena, all.get(network + "wi_1.weight"), 1.0 / 8, 2.0 / 8 / 0.87962566);
        spread(backend, arena, all.get(network + "wo.weight"), 1 / Math.sqrt(128), 0.21);
        double most = Math.sqrt(6.0 / 36);
        spread(
            backend,
            arena,
            all.get(attention + "relative_attention_bias.weight"),
            most / Math.sqrt(3),
            most);
        spread(backend, arena, all.get("decoder.final_layer_norm.weight"), 1, 1);
      }
    }
  }

  private static void spread(
      Backend backend, Arena arena, Parameter parameter, double deviation, double most) {
    double squares = 0;
    float[] values = backend.toFloats(arena, parameter.data());
    for (float value : values) {
      squares += (double) value * value;
      assertThat(Math.abs(value)).as(parameter.name()).isLessThanOrEqualTo((float) most);
    }
    double allowed = 3 * deviation / Math.sqrt(values.length);
    assertThat(Math.sqrt(squares / values.length))
        .as(parameter.name())
        .isCloseTo(deviation, within(allowed));
  }

  @Test
  void theSameSumIsDividedByWhatTheNormaliserSays() {
    try (var c = new T5Case("cpu", BASE)) {
      T5Batch batch = c.batch("plain");
      double sum = c.step(batch, new T5Loss(Normalizer.NONE, 1e-4, 0), false).loss();
      long real = IntStream.of(batch.targets()).filter(id -> id != 0).count();
      assertThat(c.step(batch, new T5Loss(Normalizer.REAL_TOKENS, 1e-4, 0), false).loss())
          .isCloseTo(sum / real, within(1e-5));
      assertThat(c.step(batch, new T5Loss(Normalizer.TOTAL_TOKENS, 1e-4, 0), false).loss())
          .isCloseTo(sum / batch.targets().length, within(1e-5));
      double smoothed = c.step(batch, new T5Loss(Normalizer.NONE, 0, 0.1), false).loss();
      assertThat(smoothed).isNotCloseTo(sum, within(1e-2)).isPositive();
    }
  }

  @Test
  void aBatchWithoutARealTargetLosesNothing() {
    try (var c = new T5Case("cpu", BASE)) {
      var batch = T5Batch.plain(1, new int[] {5, 6, 0}, new int[2], 0);
      T5Case.Step step = c.step(batch, T5Loss.PUBLISHED, false);
      assertThat(step.loss()).isZero();
      step.gradients().values().forEach(d -> assertThat(d).containsOnly(0f));
    }
  }

  @Test
  void whatDoesNotFitIsRefused() {
    int[] two = {3, 1};
    assertThatThrownBy(() -> T5Batch.plain(3, two, two, 0)).hasMessageContaining("2 tokens in 3");
    int[] segments = {1, 256};
    assertThatThrownBy(() -> T5Batch.packed(1, two, two, segments, segments, 0))
        .hasMessageContaining("at most 255 examples");
    assertThat(T5Names.inLayer("encoder.block.3.layer.0.SelfAttention.q.weight")).isTrue();
    assertThat(
            T5Names.inLayer("encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"))
        .isFalse();
    assertThat(ParameterRoles.of("decoder.block.0.layer.2.DenseReluDense.wo.weight", config()))
        .isEqualTo(Role.FEED_FORWARD);
  }
}
