package io.moextend.eval;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.moextend.Golden;
import io.moextend.NamedTensors;
import io.moextend.array.Arena;
import io.moextend.array.DType;
import io.moextend.autograd.Parameter.Role;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Activation;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider;
import io.moextend.backend.Backends;
import io.moextend.checkpoint.SafetensorsFile;
import io.moextend.checkpoint.TensorData;
import io.moextend.checkpoint.WeightSource;
import io.moextend.config.DecoderConfig;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.config.TowerConfig;
import io.moextend.config.TowerFamily;
import io.moextend.config.VisionConfig;
import io.moextend.model.CausalLoss;
import io.moextend.model.Decoder;
import io.moextend.model.FreshParameters;
import io.moextend.model.LoadedParameters;
import io.moextend.model.ModelInput;
import io.moextend.model.Watch;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The first stage of a Bunny: a frozen Phi-3, its projector trained. The tower's features are those
 * the reference recorded, so that the language model stands alone here.
 */
class DenseStageTest {
  private static final Path CASE = Golden.path("moiie/stage1_dense_phi3");
  private static final int BATCH = 3;
  private static final int WIDEST = 25;
  private static final int LENGTH = 40;
  private static final int PATCHES = 16;
  private static final int IMAGE = -200;
  private static final TowerConfig TOWER =
      new TowerConfig(new TowerFamily.Clip(), 24, 40, 2, 3, 3, 28, 7, Activation.GELU, 1e-6, 0.02);

  @TempDir Path folder;

  /** The batch, an image's slots in the place of its mark. */
  private record Expanded(int[] ids, int[] rows, float[] features) {
    static Expanded of(WeightSource inputs, float[] features) {
      long[] ids = inputs.tensor("input_ids").longs();
      int[] expanded = new int[BATCH * LENGTH];
      var rows = new ArrayList<Integer>();
      var used = new ArrayList<float[]>();
      int perImage = features.length / BATCH;
      for (int b = 0; b < BATCH; b++) {
        int at = b * LENGTH;
        for (int i = 0; i < WIDEST && at < (b + 1) * LENGTH; i++) {
          int id = Math.toIntExact(ids[b * WIDEST + i]);
          if (id != IMAGE) {
            expanded[at++] = id;
            continue;
          }
          used.add(Arrays.copyOfRange(features, b * perImage, (b + 1) * perImage));
          for (int p = 0; p < PATCHES; p++) {
            rows.add(at++);
          }
        }
      }
      float[] joined = new float[used.size() * perImage];
      for (int i = 0; i < used.size(); i++) {
        System.arraycopy(used.get(i), 0, joined, i * perImage, perImage);
      }
      return new Expanded(expanded, rows.stream().mapToInt(Integer::intValue).toArray(), joined);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"cpu", "nd4j"})
  void theProjectorLearnsAsInTheOriginal(String backendName) throws IOException {
    Set<Role> trained = Set.of(Role.PROJECTOR);
    try (Backend backend = Backends.open(backendName, new BackendProvider.Options(2, 0));
        Arena weights = backend.arena("weights");
        WeightSource source =
            new NamedTensors(
                SafetensorsFile.open(CASE.resolve("model.safetensors")),
                name -> !name.contains("vision_tower"));
        WeightSource inputs = SafetensorsFile.open(CASE.resolve("inputs.safetensors"));
        WeightSource expected = SafetensorsFile.open(CASE.resolve("expected.safetensors"))) {
      var fresh = new FreshParameters(backend, weights, DType.F32, trained, 0.02, 0);
      var from =
          new LoadedParameters(
              source, backend, weights, DType.F32, trained, fresh, Set.of(Role.VISION_TOWER));
      try (var model = new Decoder(from, config())) {
        from.requireAllRead();
        var batch = Expanded.of(inputs, expected.tensor("vision_features").floats());
        var out = new TraceOutput(backend);
        try (Arena arena = backend.arena("forward")) {
          Tape tape = Tape.off(backend, arena);
          Watch watch =
              (name, array) -> {
                if (name.startsWith("hidden_states.")) {
                  out.put(name, array, BATCH, LENGTH, 32);
                }
              };
          Decoder.Output output =
              model.forward(tape, input(backend, arena, batch, expected), false, watch);
          out.put("logits", model.logits(tape, output.hidden()).data(), BATCH, LENGTH, 96);
          out.put("loss", loss(model, tape, backend, arena, output, expected).data());
        }
        var request = new TraceRequest(trained, true, 3, 1e-3, 0, 0, false);
        new TracedTraining(
                backend,
                model,
                (tape, arena, step) ->
                    loss(
                        model,
                        tape,
                        backend,
                        arena,
                        model.forward(
                            tape, input(backend, arena, batch, expected), false, Watch.NONE),
                        expected),
                out)
            .run(request);
        compare(out.tensors(), expected);
      }
    }
  }

  /** That of the case; its tower is another here, and is not run. */
  private DecoderConfig config() throws IOException {
    JsonMapper mapper = JsonMapper.builder().build();
    ObjectNode json = (ObjectNode) mapper.readTree(CASE.resolve("config.json").toFile());
    json.remove(Set.of("mm_vision_tower", "mm_projector_type", "mm_hidden_size"));
    Path file = Files.writeString(folder.resolve("config.json"), json.toString());
    DecoderConfig plain = HuggingFaceConfig.read(file).decoder();
    return plain.with(
        new VisionConfig(TOWER, "mlp2x_gelu", -2, VisionConfig.PLACEHOLDER), plain.vocab());
  }

  private static ModelInput input(
      Backend backend, Arena arena, Expanded batch, WeightSource expected) {
    long[] seen = expected.tensor("merged.attention_mask").longs();
    byte[] mask = new byte[seen.length];
    for (int i = 0; i < mask.length; i++) {
      mask[i] = (byte) seen[i];
    }
    return new ModelInput(
        BATCH,
        LENGTH,
        backend.ints(arena, batch.ids(), batch.ids().length),
        backend.bytes(arena, mask, BATCH, LENGTH),
        new ModelInput.Images.Features(
            backend.floats(arena, DType.F32, batch.features(), batch.rows().length, TOWER.hidden()),
            backend.ints(arena, batch.rows(), batch.rows().length)),
        List.of());
  }

  private static Tensor loss(
      Decoder model,
      Tape tape,
      Backend backend,
      Arena arena,
      Decoder.Output output,
      WeightSource expected) {
    int[] labels =
        Arrays.stream(expected.tensor("merged.labels").longs())
            .mapToInt(Math::toIntExact)
            .toArray();
    CausalLoss.Labels places = CausalLoss.Labels.of(backend, arena, labels, LENGTH);
    return CausalLoss.published(model.config()).of(tape, model, output, places, null).total();
  }

  /** Padded positions have other embeddings in the original, zeros, and nobody reads them. */
  private static void compare(List<TensorData> traced, WeightSource expected) {
    long[] mask = expected.tensor("merged.attention_mask").longs();
    Map<String, TensorData> got = new LinkedHashMap<>();
    traced.forEach(t -> got.put(t.name(), t));
    var wrong = new TreeMap<String, String>();
    int compared = 0;
    for (String name : expected.names()) {
      if (!name.matches("(hidden_states|grad|after)\\..*|logits|loss|loss_after")) {
        continue;
      }
      float[] want = expected.tensor(name).floats();
      float[] have = got.get(name).floats();
      int width = want.length % mask.length == 0 ? want.length / mask.length : 0;
      boolean perToken = name.startsWith("hidden_states.") || name.equals("logits");
      for (int i = 0; i < want.length; i++) {
        boolean padded = perToken && mask[i / width] == 0;
        double off = Math.abs((double) have[i] - want[i]);
        if (!padded && !(off <= 2e-5 + 2e-4 * Math.abs(want[i]))) {
          wrong.putIfAbsent(name, "[%d] is %s, wanted %s".formatted(i, have[i], want[i]));
        }
      }
      compared++;
    }
    assertThat(wrong).isEmpty();
    assertThat(compared).as("5 hidden states, 4 gradients, 4 weights after").isEqualTo(5 + 8 + 3);
  }
}
