package io.moextend.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider;
import io.moextend.backend.Backends;
import io.moextend.checkpoint.CheckpointException;
import io.moextend.optim.Adafactor;
import io.moextend.optim.AdamW;
import io.moextend.optim.UpdateRule;
import io.moextend.shard.ParameterLayout;
import io.moextend.shard.ReplicatedOptimizer;
import io.moextend.shard.ReplicatedOptimizer.Untouched;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Rows, columns and whole squares in files. */
class AdafactorFileTest {
  private static final UpdateRule RULE = new Adafactor(5, 0.8, 1, true, 4);

  @TempDir Path folder;

  private static final class Run implements AutoCloseable {
    final Backend backend = Backends.open("cpu", new BackendProvider.Options(1, 0));
    final Arena arena = backend.arena("weights");
    final List<Parameter> parameters =
        List.of(parameter("matrix.weight", 1, 7, 5), parameter("matrix.bias", 2, 7));
    final ReplicatedOptimizer optimizer;
    final OptimizerFile file;

    @MustBeClosed
    @SuppressWarnings("MustBeClosedChecker") // closed by close()
    Run(UpdateRule rule) {
      optimizer =
          new ReplicatedOptimizer(backend, ParameterLayout.of(parameters, 1), rule, Untouched.SKIP);
      file = new OptimizerFile(backend, optimizer);
    }

    private Parameter parameter(String name, long seed, long... shape) {
      var parameter = new Parameter(name, Role.BACKBONE, normal(arena, seed, shape));
      parameter.trainable(true);
      return parameter;
    }

    private Array normal(Arena to, long seed, long... shape) {
      var random = new Random(seed);
      float[] values = new float[(int) Array.sizeOf(shape)];
      for (int i = 0; i < values.length; i++) {
        values[i] = (float) random.nextGaussian();
      }
      return backend.floats(to, DType.F32, values, shape);
    }

    void step(long seed) {
      try (Arena step = backend.arena("step")) {
        for (Parameter p : parameters) {
          optimizer.gradients(true).accept(p, normal(step, seed + p.rank(), p.shape()));
        }
        optimizer.step(1e-2, 0);
      }
    }

    List<float[]> weights() {
      return parameters.stream().map(p -> backend.toFloats(arena, p.data())).toList();
    }

    void save(Path into) throws IOException {
      Files.createDirectories(into);
      file.save(into, Peers.NONE);
      file.seal(into, Peers.NONE);
    }

    @Override
    public void close() {
      optimizer.close();
      arena.close();
      backend.close();
    }
  }

  @Test
  void aResumedRunGoesOnBitForBit() throws IOException {
    try (var whole = new Run(RULE);
        var resumed = new Run(RULE)) {
      whole.step(10);
      whole.step(20);
      Path saved = folder.resolve("saved");
      whole.save(saved);
      resumed.parameters.forEach(p -> resumed.backend.fillInto(p.data(), 9));
      resumed.file.check(saved, Peers.NONE);
      resumed.file.load(saved, Peers.NONE);
      resumed.save(folder.resolve("again"));
      try (var files = Files.list(saved)) {
        for (Path file : files.toList()) {
          assertThat(folder.resolve("again").resolve(file.getFileName()))
              .hasSameBinaryContentAs(file);
        }
      }
      whole.step(30);
      resumed.step(30);
      for (int i = 0; i < 2; i++) {
        assertThat(resumed.weights().get(i)).isEqualTo(whole.weights().get(i));
      }
    }
  }

  @Test
  void stateOfAnotherRuleIsRefusedByItsTensor() throws IOException {
    try (var whole = new Run(RULE);
        var other = new Run(AdamW.PUBLISHED)) {
      whole.step(10);
      Path saved = folder.resolve("saved");
      whole.save(saved);
      assertThatThrownBy(() -> other.file.load(saved, Peers.NONE))
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining("exp_avg.matrix.weight");
    }
  }
}
