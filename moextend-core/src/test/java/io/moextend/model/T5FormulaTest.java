package io.moextend.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Tape;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider.Options;
import io.moextend.backend.Backends;
import io.moextend.config.T5Config;
import io.moextend.nn.Sites;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A T5 whose weights are a formula, against numbers of the original modules. */
class T5FormulaTest {
  static final T5Config TINY = T5Config.v11(16, 8, 4, 2, 16, 2, 2);

  static T5Batch packed() {
    return T5Batch.packed(
        2,
        new int[] {5, 6, 7, 8, 9, 10, 3, 0, 12, 4, 3, 4, 0, 0, 0, 0},
        new int[] {11, 12, 1, 13, 1, 0, 2, 1, 9, 8, 1, 0},
        new int[] {1, 1, 1, 2, 2, 2, 2, 0, 1, 1, 2, 2, 0, 0, 0, 0},
        new int[] {1, 1, 1, 2, 2, 0, 1, 1, 2, 2, 2, 0},
        0);
  }

  @Test
  void theFormulaIsTheOne() {
    double[] first = FormulaParameters.values("token_embedder/embedding", 16, 8);
    assertThat(first[0]).isCloseTo(.973848, within(1e-6));
    assertThat(first[3]).isCloseTo(-.469220, within(1e-6));
  }

  @ParameterizedTest
  @ValueSource(strings = {"cpu", "nd4j"})
  void logitsLossGradientsAndScoreAreTheOriginals(String name) {
    try (Backend backend = Backends.open(name, new Options(2, 0));
        Arena arena = backend.arena("test");
        var model = new T5(new FormulaParameters(backend, arena), TINY, Sites.NONE)) {
      T5Batch batch = packed();
      assertThat(batch.decoderInputs()).containsExactly(0, 11, 12, 0, 13, 0, 0, 2, 0, 9, 8, 0);
      var norms = new TreeMap<String, Double>();
      Tape tape =
          Tape.recording(
              backend,
              arena,
              (p, d) -> norms.merge(p.name(), squares(backend.toFloats(arena, d)), Double::sum));
      var output = model.forward(tape, batch, T5.Pass.PLAIN);
      float[] logits = backend.toFloats(arena, model.logits(tape, output.decoder()).data());
      compare(logits, 0, .117224, -.066261, -.225846, -.303967);
      compare(logits, 10 * 16, .218603, .010775, -.200940, -.340174);
      double all = 0;
      for (float logit : logits) {
        all += Math.abs(logit);
      }
      assertThat(all).isCloseTo(32.74577, within(1e-4));
      var targets = T5Loss.PUBLISHED.targets(backend, arena, batch, 0, DType.F32);
      assertThat(targets.denominator()).isCloseTo(4, within(1e-9));
      var loss = T5Loss.PUBLISHED.of(tape, model, output.decoder(), targets, 4);
      assertThat(backend.toDouble(loss.total().data())).isCloseTo(2.771045, within(5e-6));
      assertThat(backend.toDouble(loss.zLoss())).isCloseTo(7.704237e-4, within(2e-9));
      Array one = arena.allocate(DType.F32, 1);
      backend.fillInto(one, 1);
      tape.backward(loss.total(), one);
      norm(norms, "encoder.block.0.layer.0.SelfAttention.q.weight", 2.206291e-4);
      norm(
          norms,
          "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
          3.183960e-4);
      norm(norms, "lm_head.weight", 7.920459e-1);
      score(backend, arena, model);
    }
  }

  private static void score(Backend backend, Arena arena, T5 model) {
    var batch = T5Batch.plain(1, new int[] {5, 6, 7, 0}, new int[] {11, 12, 1, 0}, 0);
    Tape tape = Tape.off(backend, arena);
    var output = model.forward(tape, batch, T5.Pass.PLAIN);
    double score = T5Loss.scores(tape, model, output.decoder(), batch)[0];
    assertThat(score).isCloseTo(-8.126941, within(1e-5));
  }

  private static void compare(float[] logits, int from, double... want) {
    for (int i = 0; i < want.length; i++) {
      assertThat((double) logits[from + i]).isCloseTo(want[i], within(2e-6));
    }
  }

  private static void norm(TreeMap<String, Double> squares, String name, double want) {
    assertThat(Math.sqrt(squares.get(name))).as(name).isCloseTo(want, within(1e-4 * want));
  }

  private static double squares(float[] values) {
    double sum = 0;
    for (float value : values) {
      sum += (double) value * value;
    }
    return sum;
  }
}
