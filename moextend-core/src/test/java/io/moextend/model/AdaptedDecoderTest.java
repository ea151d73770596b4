package io.moextend.model;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.Golden;
import io.moextend.adapter.AdapterConfig;
import io.moextend.array.Arena;
import io.moextend.array.DType;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider.Options;
import io.moextend.backend.Backends;
import io.moextend.checkpoint.CheckpointFolder;
import io.moextend.config.DecoderConfig;
import io.moextend.config.HuggingFaceConfig;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Adapters in decoders of the three families. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class AdaptedDecoderTest {
  private static final int[] IDS = {5, 9, 11, 3, 7, 2, 8, 4, 6, 1};
  private Backend b;

  @BeforeAll
  @SuppressWarnings("MustBeClosedChecker") // closed after all tests
  void open() {
    b = Backends.open("cpu", new Options(2, 0));
  }

  @AfterAll
  void close() {
    b.close();
  }

  @SuppressWarnings("MustBeClosedChecker") // handed to the caller
  private OpenModel open(String name, @Nullable AdapterConfig adapters) {
    DecoderConfig config = HuggingFaceConfig.read(Golden.path(name)).decoder();
    return OpenModel.of(
        CheckpointFolder.open(Golden.path(name)),
        config,
        b,
        DType.F32,
        ParameterChoice.of(Set.of(Role.ADAPTER)),
        3,
        ParameterChoice.NONE,
        adapters);
  }

  private float[] logits(OpenModel model) {
    try (Arena arena = b.arena("logits")) {
      Tape tape = Tape.off(b, arena);
      Decoder decoder = model.decoder();
      Tensor hidden = decoder.forward(tape, input(arena), false, Watch.NONE).hidden();
      return b.toFloats(arena, decoder.logits(tape, hidden).data());
    }
  }

  private ModelInput input(Arena arena) {
    return new ModelInput(2, 5, b.ints(arena, IDS, IDS.length), null, null, List.of());
  }

  private static Stream<AdapterConfig> methods() {
    return Stream.of(
        AdapterConfig.ia3(),
        AdapterConfig.lora(4),
        AdapterConfig.mov(3),
        AdapterConfig.molora(3, 2));
  }

  private static Stream<Arguments> modelsAndMethods() {
    return Stream.of("hf/hf_mixtral", "hf/hf_llama", "hf/hf_phi3")
        .flatMap(model -> methods().map(method -> Arguments.of(model, method)));
  }

  @ParameterizedTest
  @MethodSource("modelsAndMethods")
  void beforeTrainingAnAdapterLeavesTheLogitsAsTheyAre(String name, AdapterConfig config) {
    try (OpenModel bare = open(name, null);
        OpenModel adapted = open(name, config)) {
      float[] want = logits(bare);
      float[] got = logits(adapted);
      double largest = 0;
      for (float value : want) {
        largest = Math.max(largest, Math.abs(value));
      }
      for (int i = 0; i < want.length; i++) {
        // shares of a softmax sum to 1 within an ulp
        double allowed = config.method().isAdditive() || !config.method().isRouted() ? 0 : 2e-6;
        assertThat((double) Math.abs(got[i] - want[i])).isLessThanOrEqualTo(allowed * largest);
      }
    }
  }

  private static Set<String> modules(OpenModel model) {
    return model.decoder().parameters().stream()
        .filter(p -> p.role() == Role.ADAPTER)
        .map(
            p ->
                p.name()
                    .replaceAll("^.*layers\\.\\d+\\.", "")
                    .replaceAll("\\.(lora|mov|ia3|router).*", ""))
        .collect(Collectors.toCollection(TreeSet::new));
  }

  @Test
  void sitesAreNamedAsTheFamilyNamesItsLayers() {
    AdapterConfig lora = AdapterConfig.lora(2);
    try (OpenModel mixtral = open("hf/hf_mixtral", lora);
        OpenModel llama = open("hf/hf_llama", lora);
        OpenModel phi = open("hf/hf_phi3", lora);
        OpenModel vectors = open("hf/hf_phi3", AdapterConfig.mov(2))) {
      assertThat(modules(mixtral))
          .containsExactly(
              "self_attn.k_proj", "self_attn.o_proj", "self_attn.q_proj", "self_attn.v_proj");
      assertThat(modules(llama))
          .containsExactly(
              "mlp.down_proj",
              "mlp.gate_proj",
              "mlp.up_proj",
              "self_attn.k_proj",
              "self_attn.o_proj",
              "self_attn.q_proj",
              "self_attn.v_proj");
      assertThat(modules(phi))
          .containsExactly(
              "mlp.down_proj", "mlp.gate_up_proj", "self_attn.o_proj", "self_attn.qkv_proj");
      assertThat(modules(vectors))
          .containsExactly("mlp.down_proj", "self_attn.k_proj", "self_attn.v_proj");
    }
  }

  /** Every adapter at random numbers. */
  private void shake(OpenModel model) {
    Random random = new Random(20261122);
    for (Parameter p : model.decoder().parameters()) {
      if (p.role() == Role.ADAPTER) {
        float[] values = new float[(int) p.size()];
        for (int i = 0; i < values.length; i++) {
          values[i] = (float) ((p.rank() == 1 ? 1 : 0) + 0.3 * random.nextGaussian());
        }
        b.copyIn(p.data(), MemorySegment.ofArray(values));
        p.updated();
      }
    }
  }

  private Map<String, float[]> gradients(OpenModel model, boolean checkpointing) {
    Map<String, float[]> gradients = new TreeMap<>();
    try (Arena arena = b.arena("step")) {
      Tape tape = Tape.recording(b, arena, (p, d) -> gradients.put(p.name(), b.toFloats(arena, d)));
      Decoder.Output out = model.decoder().forward(tape, input(arena), checkpointing, Watch.NONE);
      Tensor logits = model.decoder().logits(tape, out.hidden());
      float[] d = new float[(int) logits.data().size()];
      Random random = new Random(7);
      for (int i = 0; i < d.length; i++) {
        d[i] = (float) random.nextGaussian();
      }
      tape.backward(logits, b.floats(arena, DType.F32, d, logits.data().shape()));
    }
    return gradients;
  }

  @ParameterizedTest
  @MethodSource("modelsAndMethods")
  void everyAdapterLearnsAndNothingElseWithCheckpointingTheSame(String name, AdapterConfig config) {
    try (OpenModel model = open(name, config)) {
      shake(model);
      Map<String, float[]> plain = gradients(model, false);
      assertThat(plain.keySet())
          .isEqualTo(
              model.decoder().parameters().stream()
                  .filter(p -> p.role() == Role.ADAPTER)
                  .map(Parameter::name)
                  .collect(Collectors.toCollection(TreeSet::new)));
      plain.forEach((n, d) -> assertThat(d).as(n).isNotEqualTo(new float[d.length]));
      Map<String, float[]> again = gradients(model, true);
      assertThat(again.keySet()).isEqualTo(plain.keySet());
      again.forEach((n, d) -> assertThat(d).as(n).isEqualTo(plain.get(n)));
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void whatRoutersSaidIsHandedOutByModule(boolean checkpointing) {
    try (OpenModel model = open("hf/hf_mixtral", AdapterConfig.molora(3, 2));
        Arena arena = b.arena("pass")) {
      Set<String> seen = new TreeSet<>();
      Decoder.Output out =
          model
              .decoder()
              .forward(
                  Tape.recording(b, arena, (p, d) -> {}),
                  input(arena),
                  checkpointing,
                  (name, array) -> seen.add(name));
      int layers = model.decoder().config().layers();
      assertThat(out.routed()).hasSize(4 * layers);
      assertThat(out.routed().firstEntry().getKey()).isEqualTo("model.layers.0.self_attn.q_proj");
      out.routed()
          .forEach(
              (module, logits) -> {
                assertThat(logits.requiresGrad()).as(module).isTrue();
                assertThat(logits.data().shape()).containsExactly(10, 3);
              });
      assertThat(out.choices()).hasSize(layers);
      assertThat(seen.contains("router.model.layers.0.self_attn.o_proj")).isEqualTo(!checkpointing);
    }
  }
}
