package io.moextend.adapter;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.moextend.array.Arena;
import io.moextend.array.DType;
import io.moextend.autograd.Tape;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider.Options;
import io.moextend.backend.Backends;
import io.moextend.config.T5Config;
import io.moextend.model.T5;
import io.moextend.model.T5Batch;
import io.moextend.model.T5Loss;
import io.moextend.nn.Sites;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The original's numbers of a tiny T5 whose weights are made by formula. */
class SpecifiedT5Test {
  private static final T5Batch PACKED =
      T5Batch.packed(
          2,
          new int[] {5, 6, 7, 8, 9, 10, 3, 0, 12, 4, 3, 4, 0, 0, 0, 0},
          new int[] {11, 12, 1, 13, 1, 0, 2, 1, 9, 8, 1, 0},
          new int[] {1, 1, 1, 2, 2, 2, 2, 0, 1, 1, 2, 2, 0, 0, 0, 0},
          new int[] {1, 1, 1, 2, 2, 0, 1, 1, 2, 2, 2, 0},
          0);

  private static final T5Batch SCORED =
      T5Batch.plain(1, new int[] {5, 6, 7, 0}, new int[] {11, 12, 1, 0}, 0);

  /**
   * A row of the table.
   *
   * @param config null = no adapters
   * @param norms of some gradients, by the original's paths
   */
  private record Row(
      @Nullable AdapterConfig config,
      double[] first,
      double[] second,
      double sum,
      double loss,
      double gradient,
      double score,
      Map<String, Double> norms) {
    @Override
    public String toString() {
      return String.valueOf(config);
    }
  }

  private static Stream<Row> table() {
    AdapterConfig mov = AdapterConfig.mov(3);
    AdapterConfig molora = AdapterConfig.molora(3, 2);
    return Stream.of(
        new Row(
            null,
            new double[] {.117224, -.066261, -.225846, -.303967},
            new double[] {.218603, .010775, -.200940, -.340174},
            32.74577,
            2.771045,
            0,
            -8.126941,
            Map.of()),
        new Row(
            AdapterConfig.ia3(),
            new double[] {.144139, -.064400, -.249709, -.344947},
            new double[] {.217413, .011434, -.198670, -.337112},
            33.82943,
            2.771033,
            5.27962e-3,
            -8.117470,
            Map.of(
                "encoder/layers_0/attention/k_conv/ia3_scaling",
                3.199473e-5,
                "decoder/layers_1/mlp/intermediate_conv/ia3_scaling",
                6.901450e-4)),
        new Row(
            mov,
            new double[] {.117053, -.066270, -.225689, -.303701},
            new double[] {.218646, .010751, -.201023, -.340287},
            32.85321,
            2.770962,
            2.78357e-3,
            -8.127077,
            Map.of(
                "encoder/layers_0/attention/v_conv/mov_scaling",
                1.707271e-4,
                "decoder/layers_1/mlp/intermediate_conv/router/router_weights/v/kernel",
                1.239152e-5,
                "decoder/layers_0/encoder_decoder_attention/k_conv/router/router_weights/v/kernel",
                2.406389e-5)),
        new Row(
            mov.choosing(1),
            new double[] {.102959, -.066792, -.212452, -.281479},
            new double[] {.223060, .008181, -.209649, -.351858},
            32.37655,
            2.770540,
            2.42910e-3,
            0,
            Map.of()),
        new Row(
            mov.choosing(2),
            new double[] {.107913, -.066641, -.217157, -.289344},
            new double[] {.222125, .008743, -.207793, -.349377},
            32.32484,
            2.771438,
            2.64392e-3,
            0,
            Map.of()),
        new Row(
            AdapterConfig.lora(2),
            new double[] {.103032, -.066790, -.212521, -.281594},
            new double[] {.210319, .015118, -.185536, -.319266},
            33.28353,
            2.768583,
            2.765180e-1,
            -8.132613,
            Map.of(
                "encoder/layers_0/attention/lora_q_conv/lora_A", 1.759549e-4,
                "decoder/layers_1/mlp/lora_output_conv/lora_B", 9.059002e-2)),
        new Row(
            molora,
            new double[] {.092459, -.067005, -.202300, -.264625},
            new double[] {.211897, .014331, -.188405, -.323182},
            32.49520,
            2.769444,
            1.739611e-1,
            -8.137130,
            Map.of(
                "encoder/layers_0/attention/lora_q_conv/lora_A",
                9.452028e-5,
                "decoder/layers_1/mlp/lora_output_conv/lora_B",
                5.298837e-2,
                "decoder/layers_1/mlp/lora_intermediate_conv/router/router_weights/v/kernel",
                2.008409e-4)),
        new Row(
            molora.choosing(2),
            new double[] {.101624, -.066828, -.211174, -.279349},
            new double[] {.211957, .014301, -.188513, -.323330},
            32.75450,
            2.769616,
            1.489865e-1,
            0,
            Map.of()));
  }

  @ParameterizedTest
  @MethodSource("table")
  void eachMethodGivesTheOriginalsNumbers(Row row) {
    try (Backend b = Backends.open("cpu", new Options(1, 0));
        Arena arena = b.arena("model")) {
      var method = row.config == null ? AdapterMethod.IA3 : row.config.method();
      var from = new SpecifiedT5(b, arena, method);
      var config = T5Config.v11(16, 8, 4, 2, 16, 2, 2);
      try (Adapters adapters = row.config == null ? null : new Adapters(from, row.config);
          var model = new T5(from, config, adapters == null ? Sites.NONE : adapters)) {
        compareLogits(row, model, b, arena);
        compareGradients(row, model, b, arena);
        if (row.score != 0) {
          Tape tape = Tape.off(b, arena);
          T5.Output output = model.forward(tape, SCORED, T5.Pass.PLAIN);
          double[] scores = T5Loss.scores(tape, model, output.decoder(), SCORED);
          assertThat(scores[0]).isCloseTo(row.score, within(5e-6));
        }
      }
    }
  }

  private static void compareLogits(Row row, T5 model, Backend b, Arena arena) {
    Tape tape = Tape.off(b, arena);
    T5.Output output = model.forward(tape, PACKED, T5.Pass.PLAIN);
    float[] logits = b.toFloats(arena, model.logits(tape, output.decoder()).data());
    for (int i = 0; i < 4; i++) {
      assertThat((double) logits[i]).isCloseTo(row.first[i], within(1e-6));
      assertThat((double) logits[(6 + 4) * 16 + i]).isCloseTo(row.second[i], within(1e-6));
    }
    double sum = 0;
    for (float logit : logits) {
      sum += Math.abs(logit);
    }
    assertThat(sum).isCloseTo(row.sum, within(2e-5));
  }

  private static void compareGradients(Row row, T5 model, Backend b, Arena arena) {
    Map<String, Double> squares = new TreeMap<>();
    Tape tape =
        Tape.recording(
            b,
            arena,
            (parameter, gradient) -> {
              double sum = 0;
              for (float value : b.toFloats(arena, gradient)) {
                sum += (double) value * value;
              }
              squares.merge(T5xNames.path(method(row), parameter.name()), sum, Double::sum);
            });
    var targets = T5Loss.PUBLISHED.targets(b, arena, PACKED, 0, DType.F32);
    var terms =
        T5Loss.PUBLISHED.of(
            tape,
            model,
            model.forward(tape, PACKED, T5.Pass.PLAIN).decoder(),
            targets,
            targets.denominator());
    assertThat(b.toDouble(terms.total().data())).isCloseTo(row.loss, within(1.5e-6));
    if (row.config == null) {
      return;
    }
    tape.backward(terms.total(), b.floats(arena, DType.F32, new float[] {1}, 1));
    double all = squares.values().stream().mapToDouble(x -> x).sum();
    assertThat(Math.sqrt(all)).isCloseTo(row.gradient, within(1e-4 * row.gradient));
    row.norms.forEach(
        (path, norm) ->
            assertThat(Math.sqrt(squares.get(path))).as(path).isCloseTo(norm, within(1e-4 * norm)));
  }

  private static AdapterMethod method(Row row) {
    return Objects.requireNonNull(row.config).method();
  }
}
