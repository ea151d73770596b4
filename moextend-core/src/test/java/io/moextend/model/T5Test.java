package io.moextend.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.moextend.Golden;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.GradientSink;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.config.T5Config;
import io.moextend.nn.SitePass;
import io.moextend.op.Dropout;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** The pass through a T5. */
class T5Test {
  private static final String BASE = "mov/t5_base";

  @Test
  void examplesInOneRowGiveWhatTheyGiveAlone() {
    try (var c = new T5Case("cpu", BASE)) {
      T5Batch packed = c.batch("packed");
      float[] together = logits(c, packed);
      int vocab = c.model.config().vocab();
      for (int row = 0; row < packed.rows(); row++) {
        for (int segment = 1; segment <= 2; segment++) {
          int[] inputs =
              part(packed.inputs(), packed.inputSegments(), packed.inputLength(), row, segment);
          int[] at = places(packed.targetSegments(), packed.targetLength(), row, segment);
          int[] targets =
              part(packed.targets(), packed.targetSegments(), packed.targetLength(), row, segment);
          float[] alone = logits(c, T5Batch.plain(1, inputs, targets, 0));
          for (int t = 0; t < targets.length; t++) {
            for (int v = 0; v < vocab; v++) {
              assertThat(together[at[t] * vocab + v])
                  .as("row %d segment %d token %d", row, segment, t)
                  .isCloseTo(alone[t * vocab + v], within(2e-5f));
            }
          }
        }
      }
    }
  }

  private static float[] logits(T5Case c, T5Batch batch) {
    Tape tape = Tape.off(c.backend, c.arena);
    Tensor decoder = c.model.forward(tape, batch, T5.Pass.PLAIN).decoder();
    return c.backend.toFloats(c.arena, c.model.logits(tape, decoder).data());
  }

  private static int[] places(int[] segments, int length, int row, int segment) {
    return IntStream.range(row * length, (row + 1) * length)
        .filter(at -> segments[at] == segment)
        .toArray();
  }

  private static int[] part(int[] ids, int[] segments, int length, int row, int segment) {
    return IntStream.of(places(segments, length, row, segment)).map(at -> ids[at]).toArray();
  }

  @Test
  void unitsFollowTheForwardPassAndTheirGradientsAreDoneWhenTheyAreReached() {
    try (var c = new T5Case("cpu", BASE)) {
      var unitOf = new HashMap<String, Integer>();
      List<List<Parameter>> units = c.model.units();
      for (int u = 0; u < units.size(); u++) {
        for (Parameter p : units.get(u)) {
          unitOf.put(p.name(), u);
        }
      }
      assertThat(units).hasSize(6);
      assertThat(unitOf).hasSize(c.model.parameters().size());
      var reached = new ArrayList<Integer>();
      var sink =
          new GradientSink() {
            @Override
            public void accept(Parameter parameter, Array gradient) {
              int unit = unitOf.get(parameter.name());
              assertThat(reached).as(parameter.name()).noneMatch(r -> r <= unit);
            }

            @Override
            public void reached(int unit) {
              reached.add(unit);
            }
          };
      T5Batch batch = c.batch("packed");
      Tape tape = Tape.recording(c.backend, c.arena, sink);
      Tensor decoder = c.model.forward(tape, batch, T5.Pass.PLAIN).decoder();
      var targets = T5Loss.PUBLISHED.targets(c.backend, c.arena, batch, 0, DType.F32);
      var terms = T5Loss.PUBLISHED.of(tape, c.model, decoder, targets, 1);
      Array one = c.arena.allocate(DType.F32, 1);
      c.backend.fillInto(one, 1);
      tape.backward(terms.total(), one);
      assertThat(reached).containsExactly(5, 4, 3, 2, 1);
    }
  }

  @Test
  void withDropoutAStepIsTheSameForItsSeedAloneCheckpointedOrNot() {
    try (var c = new T5Case("cpu", BASE)) {
      float[] plain = output(c, null, false);
      float[] first = output(c, new Dropout(0.1, 1), false);
      assertThat(output(c, new Dropout(0.1, 1), true)).isEqualTo(first);
      assertThat(output(c, new Dropout(0.1, 2), false)).isNotEqualTo(first);
      assertThat(first).isNotEqualTo(plain);
      assertThat(output(c, new Dropout(0, 1), false)).isEqualTo(plain);
    }
  }

  private static float[] output(T5Case c, Dropout dropout, boolean checkpointing) {
    Tape tape = Tape.recording(c.backend, c.arena, (p, d) -> {});
    var pass = new T5.Pass(checkpointing, dropout, Watch.NONE, SitePass.QUIET);
    Tensor decoder = c.model.forward(tape, c.batch("plain"), pass).decoder();
    return c.backend.toFloats(c.arena, decoder.data());
  }

  @Test
  void whatDoesNotFitIsRefused() {
    int[] two = {3, 1};
    assertThatThrownBy(() -> T5Batch.plain(3, two, two, 0)).hasMessageContaining("2 tokens in 3");
    int[] segments = {1, 256};
    assertThatThrownBy(() -> T5Batch.packed(1, two, two, segments, segments, 0))
        .hasMessageContaining("at most 255 examples");
    assertThat(T5Names.inLayer("encoder.block.3.layer.0.SelfAttention.q.weight")).isTrue();
    assertThat(
            T5Names.inLayer("encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"))
        .isFalse();
    T5Config config = HuggingFaceConfig.read(Golden.path(BASE)).t5();
    assertThat(ParameterRoles.of("decoder.block.0.layer.2.DenseReluDense.wo.weight", config))
        .isEqualTo(Role.FEED_FORWARD);
  }
}
