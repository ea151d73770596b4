package io.moextend.model;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.Golden;
import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.GradientSink;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider;
import io.moextend.backend.Backends;
import io.moextend.config.DecoderConfig;
import io.moextend.config.DecoderConfig.SpecialTokens;
import io.moextend.config.HuggingFaceConfig;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** torch's padding_idx: Phi-3 pads with its end token, which also stands inside rows. */
class PaddingTokenTest {
  private static final int PAD = 7;

  @ParameterizedTest
  @CsvSource({"cpu, hf/hf_phi3", "nd4j, hf/hf_phi3", "cpu, hf/hf_qwen2"})
  void itsEmbeddingIsNotTrainedWhereItIsRead(String backendName, String name) {
    DecoderConfig config = HuggingFaceConfig.read(Golden.path(name)).decoder();
    float[][] without = gradient(backendName, config, null);
    float[][] with = gradient(backendName, config, PAD);
    assertThat(norm(without[PAD])).isPositive();
    if (config.tiedHead()) {
      // what the head makes of the same row stays
      assertThat(norm(with[PAD])).isPositive();
      assertThat(with[PAD]).isNotEqualTo(without[PAD]);
    } else {
      assertThat(with[PAD]).containsOnly(0f);
    }
    for (int row = 0; row < with.length; row++) {
      if (row != PAD) {
        assertThat(with[row]).as("row " + row).isEqualTo(without[row]);
      }
    }
  }

  private static double norm(float[] row) {
    double sum = 0;
    for (float x : row) {
      sum += (double) x * x;
    }
    return Math.sqrt(sum);
  }

  /** Of the embedding table, row by row. */
  private static float[][] gradient(String backendName, DecoderConfig of, @Nullable Integer pad) {
    DecoderConfig config = padding(of, pad);
    int[] ids = {3, PAD, 9, 11, PAD, 4, 9, 12};
    int[] labels = {-1, 9, 11, PAD, 4, 9, 12, 5};
    try (Backend backend = Backends.open(backendName, new BackendProvider.Options(2, 0));
        Arena arena = backend.arena("step")) {
      var from =
          new FreshParameters(backend, arena, DType.F32, Set.of(Role.BACKBONE), 0.2, 20_261_122);
      var gradients = new float[config.vocab()][];
      GradientSink sink = (parameter, gradient) -> keep(backend, parameter, gradient, gradients);
      try (var model = new Decoder(from, config)) {
        Tape tape = Tape.recording(backend, arena, sink);
        var input =
            new ModelInput(
                1, ids.length, backend.ints(arena, ids, ids.length), null, null, List.of());
        Decoder.Output output = model.forward(tape, input, false, Watch.NONE);
        CausalLoss.Labels places = CausalLoss.Labels.of(backend, arena, labels, labels.length);
        Tensor loss = CausalLoss.published(config).of(tape, model, output, places, null).total();
        Array one = arena.allocate(loss.data().dtype(), 1);
        backend.fillInto(one, 1);
        tape.backward(loss, one);
      }
      return gradients;
    }
  }

  /** A tied table gets its gradient in two parts. */
  private static void keep(
      Backend backend, Parameter parameter, Array gradient, float[][] gradients) {
    if (!parameter.name().equals("model.embed_tokens.weight")) {
      return;
    }
    int width = (int) gradient.dim(1);
    try (Arena scratch = backend.arena("gradient")) {
      float[] flat = backend.toFloats(scratch, gradient);
      for (int row = 0; row < gradients.length; row++) {
        float[] values = Arrays.copyOfRange(flat, row * width, (row + 1) * width);
        for (int i = 0; gradients[row] != null && i < width; i++) {
          values[i] += gradients[row][i];
        }
        gradients[row] = values;
      }
    }
  }

  private static DecoderConfig padding(DecoderConfig c, @Nullable Integer pad) {
    return new DecoderConfig(
        c.modelType(),
        c.vocab(),
        c.hidden(),
        c.layers(),
        c.heads(),
        c.rope(),
        c.window(),
        c.normEps(),
        c.initializerRange(),
        c.tiedHead(),
        c.feedForward(),
        new SpecialTokens(c.tokens().bos(), c.tokens().eos(), pad),
        c.vision());
  }
}
