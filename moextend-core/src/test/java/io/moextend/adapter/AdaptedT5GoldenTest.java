package io.moextend.adapter;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.moextend.Golden;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Tape;
import io.moextend.backend.Backend;
import io.moextend.model.OpenAdapters;
import io.moextend.model.ParameterChoice;
import io.moextend.model.T5;
import io.moextend.model.T5Batch;
import io.moextend.model.T5Case;
import io.moextend.model.T5Loss;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.IntPredicate;
import java.util.stream.Stream;
import org.assertj.core.data.Offset;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** T5 with adapters against the numbers of the original JAX code. */
class AdaptedT5GoldenTest {
  private static final List<String> BATCHES = List.of("plain", "packed");

  @ParameterizedTest
  @ValueSource(
      strings = {
        "cpu ia3",
        "cpu lora",
        "cpu mov",
        "cpu molora",
        "cpu mov_top2",
        "cpu mov_init",
        "cpu molora_init",
        "nd4j molora",
        "nd4j mov_top2",
        "emulated molora",
        "emulated mov_top2"
      })
  void whatAdaptersGiveAndLearnIsTheOriginals(String which) {
    String[] names = which.split(" ");
    try (var adapted = new AdaptedT5(names[0], names[1])) {
      for (String batch : names[1].endsWith("_init") ? List.of("plain") : BATCHES) {
        compareForward(adapted.t5, batch);
        compareGradients(adapted, names[1], batch);
      }
      compareScores(adapted.t5);
    }
  }

  private static void compareForward(T5Case c, String name) {
    T5Batch batch = c.batch(name);
    var seen = T5Case.seen();
    Tape tape = Tape.off(c.backend, c.arena);
    T5.Output output = c.model.forward(tape, batch, seen.pass(c, false));
    Map<String, float[]> arrays = new TreeMap<>(seen.arrays());
    Array logits = c.model.logits(tape, output.decoder()).data();
    arrays.put("logits", c.backend.toFloats(c.arena, logits));
    Set<String> wanted = new TreeSet<>();
    for (String tensor : c.expected.names()) {
      if (tensor.matches(name + "\\.(logits|(router|adapter_output|encoder|decoder)[._].*)")) {
        wanted.add(tensor.substring(name.length() + 1));
      }
    }
    if (name.equals("plain")) { // of the other batch the file has not all
      assertThat(wanted).isEqualTo(arrays.keySet());
    }
    for (String key : wanted) {
      c.compare(name + "." + key, arrays.get(key), real(c, name, key, batch));
    }
  }

  /** Places that are no padding; of those whose heads have rows of their own, all heads. */
  private static IntPredicate real(T5Case c, String name, String key, T5Batch batch) {
    boolean ofInputs =
        key.replaceFirst("^(router|adapter_output)\\.", "").startsWith("encoder")
            || key.matches(".*EncDecAttention\\.[kv]");
    int[] ids = ofInputs ? batch.inputs() : batch.targets();
    long[] shape = c.expected.tensor(name + "." + key).shape();
    int heads = shape.length == 4 ? (int) shape[2] : 1;
    return row -> ids[row / heads] != 0;
  }

  private static void compareGradients(AdaptedT5 adapted, String method, String name) {
    T5Case c = adapted.t5;
    T5Case.Step step = c.step(c.batch(name), T5Loss.PUBLISHED, name.equals("packed"));
    assertThat(step.loss()).isCloseTo(c.scalar(name + ".loss"), within(5e-5));
    Set<String> wanted = new TreeSet<>();
    String prefix = name + ".grad.";
    for (String tensor : c.expected.names()) {
      if (tensor.startsWith(prefix)) {
        wanted.add(tensor.substring(prefix.length()));
      }
    }
    assertThat(step.gradients().keySet()).isEqualTo(wanted);
    adapted
        .asStored(step.gradients())
        .forEach(
            (tensor, d) -> {
              // where all experts are equal a router's gradient is rounding alone
              if (!method.equals("mov_init") || !tensor.endsWith("router.kernel")) {
                c.compareGradient(prefix + tensor, d);
              }
            });
  }

  private static void compareScores(T5Case c) {
    T5Batch batch = c.batch("score");
    Tape tape = Tape.off(c.backend, c.arena);
    T5.Output output = c.model.forward(tape, batch, T5.Pass.PLAIN);
    double[] scores = T5Loss.scores(tape, c.model, output.decoder(), batch);
    float[] have = new float[scores.length];
    for (int i = 0; i < have.length; i++) {
      have[i] = (float) scores[i];
    }
    c.compare("score.scores", have, row -> true, 5e-5, 1e-5);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"cpu ia3", "cpu lora", "cpu mov", "cpu molora", "cpu mov_top2", "emulated mov"})
  void inBf16TheLossIsNearlyTheSame(String which) {
    String[] names = which.split(" ");
    try (var adapted = new AdaptedT5(names[0], names[1], DType.BF16)) {
      T5Case c = adapted.t5;
      T5Case.Step step = c.step(c.batch("packed"), T5Loss.PUBLISHED, true);
      double want = c.scalar("packed.loss");
      assertThat(step.loss()).isCloseTo(want, within(0.01 * want));
      double length = 0;
      double along = 0;
      double whole = 0;
      for (var d : adapted.asStored(step.gradients()).entrySet()) {
        float[] wanted = c.expected.tensor("packed.grad." + d.getKey()).floats();
        for (int i = 0; i < wanted.length; i++) {
          along += (double) wanted[i] * d.getValue()[i];
          length += (double) d.getValue()[i] * d.getValue()[i];
          whole += (double) wanted[i] * wanted[i];
        }
      }
      assertThat(along / Math.sqrt(length * whole)).as("cosine").isGreaterThan(0.98);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"cpu ia3", "cpu lora", "cpu mov_top2", "cpu molora", "nd4j molora"})
  void anAnswerTokenByTokenHasTheLogitsOfTheWholeAnswer(String which) {
    String[] names = which.split(" ");
    try (var adapted = new AdaptedT5(names[0], names[1])) {
      adapted.t5.compareTokenByToken(
          new int[] {17, 5, 44, 9, 23, 51, 8}, new int[] {0, 12, 33, 7, 41, 6, 6, 28, 19});
    }
  }

  private static Stream<AdapterConfig> fresh() {
    return Stream.of(
        AdapterConfig.ia3(),
        AdapterConfig.lora(4),
        AdapterConfig.mov(5),
        AdapterConfig.molora(3, 2));
  }

  @ParameterizedTest
  @MethodSource("fresh")
  void beforeTrainingAnAdapterLeavesTheLogitsAsTheyAre(AdapterConfig config) {
    var made = new ArrayList<OpenAdapters>();
    try (var base = new T5Case("cpu", "mov/t5_base");
        var adapted =
            new T5Case(
                "cpu",
                "mov/t5_base",
                DType.F32,
                ParameterChoice.NONE,
                (b, arena) -> opened(config, b, made))) {
      float[] want = logits(base);
      float[] got = logits(adapted);
      // shares of a softmax sum to 1 within an ulp
      float allowed = config.method() == AdapterMethod.MOV ? 2e-5f : 0;
      assertThat(got).containsExactly(want, Offset.offset(allowed));
      made.forEach(OpenAdapters::close);
    }
  }

  @SuppressWarnings("MustBeClosedChecker") // closed by the caller
  private static OpenAdapters opened(
      AdapterConfig config, Backend backend, List<OpenAdapters> made) {
    made.add(OpenAdapters.of(config, null, backend, DType.F32, ParameterChoice.ALL, 3));
    return made.getFirst();
  }

  private static float[] logits(T5Case c) {
    Tape tape = Tape.off(c.backend, c.arena);
    T5.Output output = c.model.forward(tape, c.batch("packed"), T5.Pass.PLAIN);
    return c.backend.toFloats(c.arena, c.model.logits(tape, output.decoder()).data());
  }

  @ParameterizedTest
  @ValueSource(strings = {"lora", "mov", "molora", "ia3"})
  void theOriginalsNamesAndOursAreEachOthers(String method) throws Exception {
    var json =
        new ObjectMapper().readTree(Golden.path("mov/" + method).resolve("meta.json").toFile());
    int adapters = 0;
    for (var entry : json.path("t5x_names").properties()) {
      if (SiteTensor.isName(entry.getKey())) {
        String path = entry.getValue().asText();
        var kind = AdapterMethod.valueOf(method.toUpperCase(Locale.ROOT));
        assertThat(T5xNames.path(kind, entry.getKey())).isEqualTo(path);
        assertThat(T5xNames.tensor(path)).isEqualTo(entry.getKey());
        adapters++;
      }
    }
    assertThat(adapters).isGreaterThan(10);
  }
}
