package io.moextend.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.moextend.array.Arena;
import io.moextend.array.DType;
import io.moextend.autograd.Parameter;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider.Options;
import io.moextend.backend.Backends;
import io.moextend.config.T5Config;
import io.moextend.nn.Sites;
import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** How large a T5 is, and what it starts with where nothing was trained. */
class T5StartTest {
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
}
