package io.moextend.shard;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.Golden;
import io.moextend.adapter.AdapterConfig;
import io.moextend.adapter.Adapters;
import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.autograd.Tape;
import io.moextend.backend.Backend;
import io.moextend.checkpoint.SafetensorsFile;
import io.moextend.checkpoint.WeightSource;
import io.moextend.model.ParameterChoice;
import io.moextend.model.T5;
import io.moextend.model.T5Batch;
import io.moextend.model.T5Case;
import io.moextend.model.T5Loss;
import io.moextend.nn.ParameterFactory;
import io.moextend.nn.Sites;
import io.moextend.optim.Adafactor;
import io.moextend.shard.ReplicatedOptimizer.Untouched;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.BiFunction;
import java.util.stream.IntStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Whole steps of a T5 and its adapters: loss, gradients and Adafactor together. */
class T5StepsTest {
  private static final List<String> BATCHES = List.of("plain", "packed", "plain");

  /** What the reference files hold of each case. */
  private static AdapterConfig config(String name) {
    return switch (name) {
      case "ia3" -> AdapterConfig.ia3();
      case "lora" -> AdapterConfig.lora(2);
      case "mov", "mov_init" -> AdapterConfig.mov(3);
      case "mov_top2" -> AdapterConfig.mov(3).choosing(2);
      case "molora", "molora_init" -> AdapterConfig.molora(3, 2);
      default -> throw new IllegalArgumentException(name);
    };
  }

  /** A file has these as [.., in, rank] and [in, experts], memory with the last two turned. */
  private static boolean isTurned(String tensor) {
    return tensor.endsWith(".lora_A") || tensor.endsWith(".router.kernel");
  }

  /** With the last two axes, of which the second is {@code columns} long, the other way round. */
  private static float[] turned(float[] values, int rows, int columns) {
    var turned = new float[values.length];
    for (int at = 0; at < values.length; at++) {
      int matrix = at / (rows * columns);
      int in = at % (rows * columns);
      turned[matrix * rows * columns + in % columns * rows + in / columns] = values[at];
    }
    return turned;
  }

  private static Sites adapters(Backend backend, Arena arena, String name) {
    var file = Golden.path("mov/" + name + "/adapter.safetensors");
    return new Adapters(
        new ParameterFactory() {
          @Override
          public Backend backend() {
            return backend;
          }

          @Override
          public Parameter parameter(String tensor, Role role, Init init, long... shape) {
            try (WeightSource source = SafetensorsFile.open(file)) {
              float[] values = source.tensor(tensor).floats();
              int last = (int) shape[shape.length - 1];
              if (isTurned(tensor)) {
                values = turned(values, last, (int) shape[shape.length - 2]);
              }
              Array data = backend.floats(arena, DType.F32, values, shape);
              var parameter = new Parameter(tensor, role, data);
              parameter.trainable(true);
              return parameter;
            }
          }
        },
        config(name));
  }

  /** A case and the optimizer of what trains in it. */
  private static final class Run implements AutoCloseable {
    final T5Case c;
    final Optimizer optimizer;
    final List<Parameter> trained;
    final Map<String, Double> scales = new TreeMap<>();
    final double rate;
    final String start;

    @MustBeClosed
    @SuppressWarnings("MustBeClosedChecker") // closed by close()
    Run(String backend, String name, long start) {
      boolean base = name.equals("t5_base");
      BiFunction<Backend, Arena, Sites> sites =
          base ? (b, a) -> Sites.NONE : (b, a) -> adapters(b, a, name);
      var train = base ? ParameterChoice.ALL : ParameterChoice.NONE;
      this.c = new T5Case(backend, "mov/" + name, DType.F32, train, sites);
      this.trained = c.model.parameters().stream().filter(Parameter::requiresGrad).toList();
      this.rate = base ? 1e-3 : 3e-4;
      this.start = "step" + start + ".";
      this.optimizer =
          new ReplicatedOptimizer(
              c.backend,
              ParameterLayout.of(trained, 1),
              Adafactor.from(start),
              Untouched.ZERO_GRADIENT);
      for (Parameter p : trained) {
        scales.put(p.name(), Math.max(1e-3, rms(values(p))));
      }
    }

    float[] values(Parameter p) {
      float[] values = c.backend.toFloats(c.arena, p.data());
      int columns = (int) p.shape()[p.rank() - 1];
      return isTurned(p.name()) ? turned(values, (int) p.shape()[p.rank() - 2], columns) : values;
    }

    double step(String batch) {
      T5Case.Step step = c.step(c.batch(batch), T5Loss.PUBLISHED, false);
      for (Parameter p : trained) {
        float[] gradient = step.gradients().get(p.name());
        optimizer
            .gradients(true)
            .accept(p, c.backend.floats(c.arena, DType.F32, gradient, p.shape()));
      }
      assertThat(optimizer.step(rate, 0).updated()).isEqualTo(trained.size());
      return step.loss();
    }

    /** Parameters of which the original's are no rounding noise. */
    List<Parameter> compared(String name) {
      return trained.stream()
          .filter(p -> !name.equals("mov_init") || !p.name().endsWith(".router.kernel"))
          .toList();
    }

    void compareWeights(String name, String which) {
      for (Parameter p : compared(name)) {
        double moved = 1e-2 * rate * scales.get(p.name());
        c.compare(start + which + p.name(), values(p), row -> true, moved, 3e-7);
      }
    }

    void compareState(String name) {
      var saved = new SavedState();
      optimizer.save(saved.writer(c.backend));
      for (Parameter p : compared(name)) {
        double[] v = saved.whole().array("v." + p.name());
        float[] have = new float[v.length];
        IntStream.range(0, v.length).forEach(i -> have[i] = (float) v[i]);
        int columns = (int) p.shape()[p.rank() - 1];
        c.compareGradient(
            start + "v." + p.name(),
            isTurned(p.name()) ? turned(have, (int) p.shape()[p.rank() - 2], columns) : have);
      }
    }

    void compareLogits() {
      T5Batch plain = c.batch("plain");
      Tape tape = Tape.off(c.backend, c.arena);
      T5.Output output = c.model.forward(tape, plain, T5.Pass.PLAIN);
      float[] logits = c.backend.toFloats(c.arena, c.model.logits(tape, output.decoder()).data());
      c.compare(start + "logits_plain_after", logits, T5Case.real(plain.targets()), 5e-5, 1e-5);
    }

    @Override
    public void close() {
      optimizer.close();
      c.close();
    }
  }

  private static double rms(float[] values) {
    double sum = IntStream.range(0, values.length).mapToDouble(i -> values[i] * values[i]).sum();
    return Math.sqrt(sum / values.length);
  }

  @ParameterizedTest(name = "{1} on {0} from step {2}")
  @CsvSource({
    "cpu, t5_base, 0",
    "cpu, t5_base, 1100000",
    "cpu, ia3, 0",
    "cpu, ia3, 1100000",
    "cpu, lora, 0",
    "cpu, lora, 1100000",
    "cpu, mov, 0",
    "cpu, mov, 1100000",
    "nd4j, mov, 1100000",
    "cpu, mov_top2, 0",
    "cpu, mov_top2, 1100000",
    "cpu, mov_init, 1100000",
    "cpu, molora, 0",
    "cpu, molora, 1100000",
    "cpu, molora_init, 1100000"
  })
  void threeStepsAreTheOriginals(String backend, String name, long start) {
    boolean base = name.equals("t5_base");
    try (var run = new Run(backend, name, start)) {
      var losses = new ArrayList<Double>();
      for (String batch : BATCHES) {
        losses.add(run.step(batch));
        if (losses.size() == 1 && !base) {
          run.compareWeights(name, "param_after_1.");
        }
      }
      float[] wanted = run.c.expected.tensor(run.start + "losses").floats();
      assertThat(wanted).hasSameSizeAs(losses);
      for (int i = 0; i < wanted.length; i++) {
        assertThat(losses.get(i)).isCloseTo(wanted[i], within(5e-5));
      }
      run.compareLogits();
      if (!base || start > 0) { // else the reference has logits and losses alone
        run.compareWeights(name, "param.");
      }
      if (!base) {
        run.compareState(name);
      }
    }
  }
}
