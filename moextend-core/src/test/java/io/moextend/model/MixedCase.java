package io.moextend.model;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.moextend.Golden;
import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider.Options;
import io.moextend.backend.Backends;
import io.moextend.checkpoint.SafetensorsFile;
import io.moextend.checkpoint.TensorData;
import io.moextend.checkpoint.WeightSource;
import io.moextend.config.DecoderConfig;
import io.moextend.config.FeedForwardConfig;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.nn.ParameterFactory;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Predicate;

/**
 * One of the reference cases of golden/moiie, opened without its vision part: what the decoder is
 * given are the embeddings with the projected patches among them, as the file has them.
 */
final class MixedCase implements AutoCloseable {
  private static final String EMBEDDING = "model.embed_tokens.weight";
  private static final double ABSOLUTE = 2e-5;
  private static final double RELATIVE = 2e-4;

  final Backend backend;
  final Arena arena;
  final DecoderConfig config;
  final WeightSource expected;
  private final WeightSource weights;

  /**
   * @param folder to write config.json to
   */
  @SuppressWarnings("MustBeClosedChecker") // closed by close()
  MixedCase(String backendName, String name, Path folder) throws IOException {
    Path from = Golden.path("moiie").resolve(name);
    var mapper = new ObjectMapper();
    var json = (ObjectNode) mapper.readTree(from.resolve("config.json").toFile());
    json.remove(
        json.properties().stream()
            .map(java.util.Map.Entry::getKey)
            .filter(field -> field.startsWith("mm_"))
            .toList());
    Files.createDirectories(folder);
    mapper.writeValue(folder.resolve("config.json").toFile(), json);
    config = HuggingFaceConfig.read(folder).decoder();
    backend = Backends.open(backendName, new Options(2, 0));
    arena = backend.arena("weights");
    weights = SafetensorsFile.open(from.resolve("model.safetensors"));
    expected = SafetensorsFile.open(from.resolve("expected.safetensors"));
  }

  /** The file's decoder, but for tensors that are left out; closing it leaves the file open. */
  WeightSource without(Predicate<String> left) {
    var names = new TreeSet<>(weights.names());
    names.removeIf(left.or(n -> n.contains("vision_tower") || n.contains("mm_projector")));
    return new WeightSource() {
      @Override
      public Set<String> names() {
        return names;
      }

      @Override
      public TensorData tensor(String name) {
        return weights.tensor(name);
      }

      @Override
      public String origin() {
        return weights.origin();
      }

      @Override
      public void close() {}
    };
  }

  FeedForwardConfig.Mixed mixed() {
    return (FeedForwardConfig.Mixed) config.feedForward();
  }

  /** All of the file's weights, all trained. */
  ParameterFactory parameters() {
    Set<Role> all = EnumSet.allOf(Role.class);
    var fresh = new FreshParameters(backend, arena, DType.F32, all, 0, 0);
    return new LoadedParameters(weights, backend, arena, DType.F32, all, fresh, Set.of());
  }

  /** As {@link #parameters}, with a table of embeddings that has the batch's tokens as its rows. */
  ParameterFactory parametersOverTheBatch() {
    ParameterFactory loaded = parameters();
    return new ParameterFactory() {
      @Override
      public Backend backend() {
        return backend;
      }

      @Override
      public Parameter parameter(String name, Role role, Init init, long... shape) {
        if (!name.equals(EMBEDDING)) {
          return loaded.parameter(name, role, init, shape);
        }
        Array merged = floats(arena, "merged.inputs_embeds");
        return new Parameter(name, role, merged.reshape(tokens(), config.hidden()));
      }
    };
  }

  int batch() {
    return (int) expected.tensor("merged.attention_mask").shape()[0];
  }

  int length() {
    return (int) expected.tensor("merged.attention_mask").shape()[1];
  }

  int tokens() {
    return batch() * length();
  }

  Array floats(Arena to, String name) {
    TensorData data = expected.tensor(name);
    return backend.floats(to, DType.F32, data.floats(), data.shape());
  }

  int[] ints(String name) {
    return Arrays.stream(expected.tensor(name).longs()).mapToInt(Math::toIntExact).toArray();
  }

  /** Which tokens are patches; of a model that does not ask for it the file does not say. */
  byte[] types() {
    String name = "merged.token_type_ids";
    return expected.names().contains(name) ? bytes(name) : new byte[tokens()];
  }

  byte[] bytes(String name) {
    TensorData data = expected.tensor(name);
    byte[] values = new byte[Math.toIntExact(data.length())];
    if (data.dtype() == DType.U8) {
      java.lang.foreign.MemorySegment.ofArray(values).copyFrom(data.bytes());
      return values;
    }
    int[] wide = ints(name);
    for (int i = 0; i < values.length; i++) {
      values[i] = (byte) (wide[i] == 1 ? 1 : 0); // padding has the tokenizer's own number
    }
    return values;
  }

  void compare(String name, Array got) {
    float[] have = backend.toFloats(arena, got);
    float[] want = expected.tensor(name).floats();
    assertThat(have).as(name).hasSameSizeAs(want);
    for (int i = 0; i < want.length; i++) {
      double off = Math.abs((double) have[i] - want[i]);
      assertThat(off <= ABSOLUTE + RELATIVE * Math.abs(want[i]))
          .as("%s[%d] is %s, wanted %s", name, i, have[i], want[i])
          .isTrue();
    }
  }

  @Override
  public void close() {
    expected.close();
    weights.close();
    arena.close();
    backend.close();
  }
}
