package io.moextend.model;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.moextend.Golden;
import io.moextend.NamedTensors;
import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Tape;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider;
import io.moextend.backend.Backends;
import io.moextend.checkpoint.SafetensorsFile;
import io.moextend.checkpoint.WeightSource;
import io.moextend.config.DecoderConfig;
import io.moextend.config.HuggingFaceConfig;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Phi-3's sliding window and its factors for short and long sequences, as the original has them.
 */
class PhiLengthsTest {
  private static final JsonMapper JSON = JsonMapper.builder().build();
  private static final int WIDEST = 44;

  @TempDir Path folder;

  @ParameterizedTest
  @CsvSource({
    "cpu, plain", "cpu, window10", "cpu, su", "cpu, yarn",
    "nd4j, plain", "nd4j, window10", "nd4j, su", "nd4j, yarn"
  })
  void shortAndLongSequencesAreThoseOfTheOriginal(String backendName, String variant)
      throws IOException {
    try (Backend backend = Backends.open(backendName, new BackendProvider.Options(2, 0));
        OpenModel model =
            OpenModel.of(weights(), config(variant), backend, DType.F32, Set.of(), 0);
        WeightSource inputs = SafetensorsFile.open(golden("inputs.safetensors"));
        WeightSource expected = SafetensorsFile.open(golden("expected.safetensors"))) {
      for (int length : new int[] {24, 44}) {
        String prefix = variant + "." + length + ".";
        try (Arena arena = backend.arena(prefix)) {
          Tape tape = Tape.off(backend, arena);
          var seen = new ArrayList<float[]>();
          Decoder.Output output =
              model
                  .decoder()
                  .forward(
                      tape,
                      input(backend, arena, inputs, length),
                      false,
                      (name, array) -> {
                        if (name.equals("hidden_states.1")) {
                          seen.add(backend.toFloats(arena, array));
                        }
                      });
          Array logits = model.decoder().logits(tape, output.hidden()).data();
          compare(expected, prefix + "hidden_states.1", seen.getFirst());
          compare(expected, prefix + "logits", backend.toFloats(arena, logits));
        }
      }
    }
  }

  private static Path golden(String file) {
    return Golden.path("moiie/phi3_rope_window/" + file);
  }

  private static WeightSource weights() {
    Path file = Golden.path("moiie/stage1_dense_phi3/model.safetensors");
    return NamedTensors.languageModelOf(SafetensorsFile.open(file));
  }

  /** The language model of the stage 1 case, with the options of a variant. */
  private DecoderConfig config(String variant) throws IOException {
    ObjectNode json =
        (ObjectNode) JSON.readTree(Golden.path("moiie/stage1_dense_phi3/config.json").toFile());
    json.put("model_type", "phi3");
    json.remove(Set.of("mm_vision_tower", "mm_projector_type", "mm_hidden_size"));
    JsonNode meta = JSON.readTree(golden("meta.json").toFile());
    JsonNode options =
        meta.get("variants (config overrides; max_position_embeddings 128)").get(variant);
    json.setAll((ObjectNode) options);
    Path file = Files.writeString(folder.resolve("config.json"), json.toString());
    return HuggingFaceConfig.read(file).decoder();
  }

  private static ModelInput input(Backend backend, Arena arena, WeightSource inputs, int length) {
    long[] ids = inputs.tensor("input_ids").longs();
    long[] seen = inputs.tensor("attention_mask").longs();
    int[] cut = new int[2 * length];
    byte[] mask = new byte[cut.length];
    for (int i = 0; i < cut.length; i++) {
      int at = i / length * WIDEST + i % length;
      cut[i] = Math.toIntExact(ids[at]);
      mask[i] = (byte) seen[at];
    }
    return new ModelInput(
        2,
        length,
        backend.ints(arena, cut, cut.length),
        backend.bytes(arena, mask, 2, length),
        null,
        List.of());
  }

  private static void compare(WeightSource expected, String name, float[] got) {
    float[] want = expected.tensor(name).floats();
    assertThat(got).as(name).hasSameSizeAs(want);
    for (int i = 0; i < want.length; i++) {
      assertThat(Math.abs((double) got[i] - want[i]))
          .as("%s[%d] is %s, wanted %s", name, i, got[i], want[i])
          .isLessThanOrEqualTo(2e-5 + 2e-4 * Math.abs(want[i]));
    }
  }
}
