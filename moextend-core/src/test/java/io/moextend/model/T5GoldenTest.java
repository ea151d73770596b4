package io.moextend.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Tape;
import io.moextend.model.T5Loss.Normalizer;
import io.moextend.nn.Sites;
import java.util.Arrays;
import java.util.Map;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** T5 against the numbers of the original JAX code, and of Hugging Face. */
class T5GoldenTest {
  private static final String BASE = "mov/t5_base";

  @ParameterizedTest(name = "{1} on {0}")
  @CsvSource({"cpu, plain", "cpu, packed", "nd4j, packed"})
  void hiddenStatesLogitsAndLossesAreTheOriginals(String backend, String name) {
    try (var c = new T5Case(backend, BASE)) {
      T5Batch batch = c.batch(name);
      var seen = T5Case.seen();
      Tape tape = Tape.off(c.backend, c.arena);
      T5.Output output = c.model.forward(tape, batch, seen.pass(c, false));
      assertThat(seen.arrays()).hasSize(8);
      for (Map.Entry<String, float[]> array : seen.arrays().entrySet()) {
        boolean encoder = array.getKey().startsWith("encoder");
        var rows = T5Case.real(encoder ? batch.inputs() : batch.targets());
        c.compare(name + "." + array.getKey(), array.getValue(), rows);
      }
      Array logits = c.model.logits(tape, output.decoder()).data();
      // also at padding: 0, but where an end token is read
      c.compare(name + ".logits", c.backend.toFloats(c.arena, logits), row -> true);
      compareLosses(c, name, batch, tape, output);
    }
  }

  private static void compareLosses(
      T5Case c, String name, T5Batch batch, Tape tape, T5.Output output) {
    T5Loss published = T5Loss.PUBLISHED;
    var targets = published.targets(c.backend, c.arena, batch, 0, DType.F32);
    assertThat(targets.denominator()).isCloseTo(c.scalar(name + ".loss_normalizer"), within(1e-5));
    float[] weights = new float[batch.targets().length];
    int[] rows = c.backend.toInts(targets.rows());
    float[] each = c.backend.toFloats(c.arena, targets.weights());
    for (int i = 0; i < rows.length; i++) {
      weights[rows[i]] = each[i];
    }
    c.compare(name + ".loss_weights", weights, row -> true);
    var terms = published.of(tape, c.model, output.decoder(), targets, targets.denominator());
    double loss = c.backend.toDouble(terms.total().data());
    assertThat(loss).isCloseTo(c.scalar(name + ".loss"), within(5e-5));
    double zLoss = c.backend.toDouble(terms.zLoss());
    assertThat(zLoss).isCloseTo(c.scalar(name + ".z_loss"), within(1e-7));
    assertThat(loss - zLoss).isCloseTo(c.scalar(name + ".loss_no_z"), within(5e-5));
    var sum = new T5Loss(Normalizer.NONE, 1e-4, 0);
    var all = sum.targets(c.backend, c.arena, batch, 0, DType.F32);
    double whole =
        c.backend.toDouble(
            sum.of(tape, c.model, output.decoder(), all, all.denominator()).total().data());
    assertThat(whole).isCloseTo(c.scalar(name + ".loss_sum"), within(1e-3));
  }

  @ParameterizedTest(name = "{1} on {0}, checkpointing {2}")
  @CsvSource({"cpu, plain, false", "cpu, packed, true", "nd4j, plain, true", "nd4j, packed, false"})
  void everyGradientIsTheOriginals(String backend, String name, boolean checkpointing) {
    try (var c = new T5Case(backend, BASE)) {
      T5Case.Step step = c.step(c.batch(name), T5Loss.PUBLISHED, checkpointing);
      assertThat(step.loss()).isCloseTo(c.scalar(name + ".loss"), within(5e-5));
      assertThat(step.gradients()).hasSize(c.model.parameters().size());
      step.gradients().forEach((tensor, d) -> c.compareGradient(name + ".grad." + tensor, d));
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"cpu", "nd4j"})
  void everyBucketOfPositionsIsTheOriginals(String backend) {
    try (var c = new T5Case(backend, BASE)) {
      T5Batch batch = c.batch("long");
      Tape tape = Tape.off(c.backend, c.arena);
      T5.Output output = c.model.forward(tape, batch, T5.Pass.PLAIN);
      c.compare(
          "long.encoder_output", c.backend.toFloats(c.arena, output.encoder().data()), row -> true);
      Array logits = c.model.logits(tape, output.decoder()).data();
      c.compare("long.logits", c.backend.toFloats(c.arena, logits), row -> true);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"cpu", "nd4j"})
  void aChoicesScoreIsTheSumOfItsLogProbabilities(String backend) {
    try (var c = new T5Case(backend, BASE)) {
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
  }

  /**
   * Version 1.1; and 1.0, with one wi, a tied head that is scaled, heads that make another width.
   */
  @ParameterizedTest(name = "{1} on {0}")
  @CsvSource({"cpu, hf_t5", "nd4j, hf_t5", "cpu, hf_t5_v10"})
  void huggingFacesT5GivesTheSame(String backend, String name) {
    try (var c = new T5Case(backend, "hf/" + name)) {
      int[] labels = Arrays.stream(c.ints("labels")).map(label -> label < 0 ? 0 : label).toArray();
      var batch = T5Batch.plain(2, c.ints("input_ids"), labels, 0);
      Tape tape = Tape.off(c.backend, c.arena);
      T5.Output output = c.model.forward(tape, batch, T5.Pass.PLAIN);
      float[] encoder = c.backend.toFloats(c.arena, output.encoder().data());
      c.compare("encoder_last_hidden_state", encoder, T5Case.real(batch.inputs()));
      Array logits = c.model.logits(tape, output.decoder()).data();
      var rows = T5Case.real(labels);
      c.compare("logits", c.backend.toFloats(c.arena, logits), rows, 2e-5, 2e-5);
      T5Case.Step step = c.step(batch, new T5Loss(Normalizer.REAL_TOKENS, 0, 0), false);
      assertThat(step.loss()).isCloseTo(c.scalar("loss"), within(5e-5));
      step.gradients().forEach((tensor, d) -> c.compareGradient("grad." + tensor, d));
    }
  }

  @ParameterizedTest(name = "{0}")
  @ValueSource(strings = {"plain", "packed"})
  void inBf16TheLossIsNearlyTheSame(String name) {
    try (var c = new T5Case("cpu", BASE, DType.BF16, ParameterChoice.ALL, (b, a) -> Sites.NONE)) {
      T5Case.Step step = c.step(c.batch(name), T5Loss.PUBLISHED, false);
      double want = c.scalar(name + ".loss");
      assertThat(step.loss()).isCloseTo(want, within(0.01 * want));
      assertThat(step.gradients()).hasSize(c.model.parameters().size());
    }
  }
}
