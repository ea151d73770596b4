package io.moextend.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Tape;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider;
import io.moextend.backend.Backends;
import io.moextend.config.DecoderConfig;
import io.moextend.model.CausalLoss;
import io.moextend.model.Decoder;
import io.moextend.model.FreshParameters;
import io.moextend.model.ModelInput;
import io.moextend.model.Watch;
import io.moextend.stage.Stage;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A last layer that computes labelled rows alone trains as one that computes all. */
class LabelledRowsTest {
  private static final StepSize SIZE = StepSize.parse("64,96,2,4,128,2,136");

  private record Pass(double loss, Map<String, double[]> gradients) {}

  @ParameterizedTest
  @CsvSource({
    "finetune, cpu, false",
    "finetune, cpu, true",
    "finetune, nd4j, false",
    "extension, cpu, false",
    "pretrain-text, cpu, false"
  })
  void lossAndGradientsAreThoseOfAllRows(String stage, String backend, boolean checkpointing) {
    Pass all = pass(Stage.named(stage), backend, checkpointing, false);
    Pass labelled = pass(Stage.named(stage), backend, checkpointing, true);
    assertThat(labelled.loss).isCloseTo(all.loss, org.assertj.core.data.Offset.offset(1e-5));
    assertThat(labelled.gradients.keySet()).isEqualTo(all.gradients.keySet()).isNotEmpty();
    all.gradients.forEach(
        (name, want) -> {
          double[] got = labelled.gradients.get(name);
          double largest = 0;
          double difference = 0;
          for (int i = 0; i < want.length; i++) {
            largest = Math.max(largest, Math.abs(want[i]));
            difference = Math.max(difference, Math.abs(want[i] - got[i]));
          }
          assertThat(difference).as("gradient of %s", name).isLessThanOrEqualTo(1e-5 * largest);
        });
  }

  @ParameterizedTest
  @CsvSource("finetune, cpu")
  void labelsOfOtherRowsThanWereAskedForAreRefused(String stage, String backend) {
    assertThatThrownBy(
            () ->
                run(
                    Stage.named(stage),
                    backend,
                    (tape, arena, model, input, loss, labels) -> {
                      Array other = tape.backend().ints(arena, new int[] {3, 5}, 2);
                      Decoder.Output output = model.forward(tape, input, other, false, Watch.NONE);
                      return loss.of(tape, model, output, labels, null);
                    },
                    new LinkedHashMap<>()))
        .hasMessageContaining("other rows");
  }

  private interface Forward {
    CausalLoss.Terms run(
        Tape tape,
        Arena arena,
        Decoder model,
        ModelInput input,
        CausalLoss loss,
        CausalLoss.Labels labels);
  }

  private static Pass pass(Stage stage, String backend, boolean checkpointing, boolean labelled) {
    var gradients = new LinkedHashMap<String, double[]>();
    double value =
        run(
            stage,
            backend,
            (tape, arena, model, input, loss, labels) ->
                loss.of(
                    tape,
                    model,
                    model.forward(
                        tape, input, labelled ? labels.rows() : null, checkpointing, Watch.NONE),
                    labels,
                    null),
            gradients);
    return new Pass(value, gradients);
  }

  private static double run(
      Stage stage, String name, Forward forward, Map<String, double[]> gradients) {
    try (Backend backend = Backends.open(name, new BackendProvider.Options(2, 0), DType.F32);
        Arena arena = backend.arena("test")) {
      DecoderConfig config = StepModel.MIXTRAL.config(SIZE, stage);
      var parameters = new FreshParameters(backend, arena, DType.F32, stage.trained(), 0.2, 1);
      try (Decoder model = new Decoder(parameters, config)) {
        stage.freezeAllBut(model);
        Tape tape =
            Tape.recording(backend, arena, (parameter, d) -> add(backend, gradients, parameter, d));
        var random = new Random(7);
        int[] ids = random.ints(SIZE.tokens(), 0, SIZE.vocab()).toArray();
        int[] labels = ids.clone();
        for (int i = 0; i < labels.length; i++) {
          labels[i] = random.nextInt(3) == 0 ? ids[i] : -100;
        }
        var input =
            new ModelInput(
                SIZE.batch(),
                SIZE.sequence(),
                backend.ints(arena, ids, ids.length),
                null,
                null,
                List.of());
        CausalLoss.Terms terms =
            forward.run(
                tape,
                arena,
                model,
                input,
                CausalLoss.published(config),
                CausalLoss.Labels.of(backend, arena, labels, SIZE.sequence()));
        Array one = arena.allocate(DType.F32, 1);
        backend.fillInto(one, 1);
        tape.backward(terms.total(), one);
        return backend.toDouble(terms.total().data());
      }
    }
  }

  private static void add(
      Backend backend, Map<String, double[]> gradients, Parameter parameter, Array d) {
    float[] floats;
    try (Arena scratch = backend.arena("scratch")) {
      floats = backend.toFloats(scratch, d);
    }
    double[] values = new double[floats.length];
    Arrays.setAll(values, i -> floats[i]);
    gradients.merge(
        parameter.name(),
        values,
        (a, b) -> {
          for (int i = 0; i < a.length; i++) {
            a[i] += b[i];
          }
          return a;
        });
  }
}
