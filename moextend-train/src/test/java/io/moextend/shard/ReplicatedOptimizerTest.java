package io.moextend.shard;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Parameter;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider;
import io.moextend.backend.Backends;
import io.moextend.config.ConfigException;
import io.moextend.optim.AdamW;
import io.moextend.optim.Schedule;
import io.moextend.shard.ReplicatedOptimizer.Untouched;
import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

@SuppressWarnings("MustBeClosedChecker") // closed after each test
class ReplicatedOptimizerTest {
  private final Backend backend = Backends.open("nd4j", new BackendProvider.Options(1, 0));
  private final Arena arena = backend.arena("test");

  @AfterEach
  void close() {
    arena.close();
    backend.close();
  }

  private Array array(float[] values, long... shape) {
    Array array = arena.allocate(DType.F32, shape);
    backend.copyIn(array, MemorySegment.ofArray(values));
    return array;
  }

  private Parameter parameter(String name, float[] values, long... shape) {
    var parameter = new Parameter(name, Parameter.Role.NEW_EXPERT, array(values, shape));
    parameter.trainable(true);
    return parameter;
  }

  private float[] values(Parameter parameter) {
    float[] values = new float[(int) parameter.data().size()];
    backend.copyOut(parameter.data(), MemorySegment.ofArray(values));
    return values;
  }

  @Test
  void slicesStartAt64BytesInTheModelsOrderAndShardsAreEqual() {
    Parameter a = parameter("a", new float[6], 2, 3);
    Parameter b = parameter("b", new float[17], 17);
    Parameter c = parameter("c", new float[1], 1);
    ParameterLayout layout = ParameterLayout.of(List.of(a, b, c), 3);
    assertThat(layout.slices())
        .extracting(ParameterLayout.Slice::from)
        .containsExactly(0L, 16L, 48L);
    assertThat(layout.slice(b).to()).isEqualTo(33);
    assertThat(layout.length()).isEqualTo(96);
    assertThat(layout.trained()).isEqualTo(24);
    assertThatThrownBy(() -> ParameterLayout.of(List.of(), 1))
        .isInstanceOf(ConfigException.class)
        .hasMessageStartingWith("nothing trains");
  }

  @Test
  void decaySparesBiasesAsHuggingFaceDoes() {
    Parameter weight = parameter("w.weight", new float[] {1, 1}, 1, 2);
    Parameter bias = parameter("w.bias", new float[] {1, 1}, 2);
    ParameterLayout layout = ParameterLayout.of(List.of(weight, bias), 1);
    var rule = new AdamW(0.9, 0.999, 1e-8, 0.5);
    try (var optimizer = new ReplicatedOptimizer(backend, layout, rule, Untouched.ZERO_GRADIENT)) {
      optimizer.step(0.1, 0);
    }
    assertThat(values(weight)).containsExactly(0.95f, 0.95f);
    assertThat(values(bias)).containsExactly(1, 1);
  }

  @Test
  void decaySparesNormsAndNothingElseOfOneDimension() {
    Parameter norm = parameter("layer_norm1.weight", new float[] {1}, 1);
    Parameter scale = parameter("layer_scale1.lambda1", new float[] {1}, 1);
    Parameter embedding = parameter("embeddings.class_embedding", new float[] {1}, 1);
    ParameterLayout layout = ParameterLayout.of(List.of(norm, scale, embedding), 1);
    var rule = new AdamW(0.9, 0.999, 1e-8, 0.5);
    try (var optimizer = new ReplicatedOptimizer(backend, layout, rule, Untouched.ZERO_GRADIENT)) {
      optimizer.step(0.1, 0);
    }
    assertThat(values(norm)).containsExactly(1);
    assertThat(values(scale)).containsExactly(0.95f);
    assertThat(values(embedding)).containsExactly(0.95f);
  }

  /** Four parameter groups as torch's AdamW has them: two rates, each with and without decay. */
  @Test
  void rolesWithARateOfTheirOwnFollowTheScheduleTimesTheirFactor() {
    double decay = 0.1;
    var schedule = new Schedule.Cosine(1e-2, 1, 6);
    var projectors = new Schedule.Cosine(4e-3, 1, 6);
    record Group(Parameter parameter, Schedule schedule, double decay) {}
    List<Group> groups =
        List.of(
            new Group(of(Parameter.Role.BACKBONE, "a.weight", 1, 3), schedule, decay),
            new Group(of(Parameter.Role.BACKBONE, "a.norm.weight", 3), schedule, 0),
            new Group(of(Parameter.Role.PROJECTOR, "p.weight", 1, 3), projectors, decay),
            new Group(of(Parameter.Role.PROJECTOR, "p.bias", 3), projectors, 0));
    double[][] wanted = new double[groups.size()][];
    for (int g = 0; g < wanted.length; g++) {
      wanted[g] = plainly(groups.get(g).schedule(), groups.get(g).decay());
    }
    List<Parameter> parameters = groups.stream().map(Group::parameter).toList();
    var rates = new RoleRates(Map.of(Parameter.Role.PROJECTOR, 4e-3 / 1e-2));
    try (var optimizer =
        new ReplicatedOptimizer(
            backend,
            ParameterLayout.of(parameters, 1),
            new AdamW(0.9, 0.999, 1e-8, decay),
            Untouched.ZERO_GRADIENT,
            rates)) {
      for (int step = 1; step <= GRADIENTS.length; step++) {
        for (Parameter p : parameters) {
          optimizer.gradients(true).accept(p, array(GRADIENTS[step - 1], p.shape()));
        }
        optimizer.step(schedule.at(step), 0);
      }
    }
    for (int g = 0; g < wanted.length; g++) {
      for (int i = 0; i < 3; i++) {
        assertThat(values(parameters.get(g))[i])
            .as("%s[%d]", parameters.get(g).name(), i)
            .isCloseTo((float) wanted[g][i], within(1e-6f));
      }
    }
  }

  private static final float[] START = {0.5f, -1, 2};
  private static final float[][] GRADIENTS = {{3, 4, 0}, {0.1f, -2, 1}, {-1, 1, 5}, {2, 0, -1}};

  private Parameter of(Parameter.Role role, String name, long... shape) {
    var parameter = new Parameter(name, role, array(START, shape));
    parameter.trainable(true);
    return parameter;
  }

  /** torch.optim.AdamW, line by line, in double. */
  private static double[] plainly(Schedule schedule, double decay) {
    double[] w = {START[0], START[1], START[2]};
    double[] m = new double[3];
    double[] v = new double[3];
    for (int step = 1; step <= GRADIENTS.length; step++) {
      double rate = schedule.at(step);
      for (int i = 0; i < 3; i++) {
        double g = GRADIENTS[step - 1][i];
        w[i] *= 1 - rate * decay;
        m[i] = 0.9 * m[i] + 0.1 * g;
        v[i] = 0.999 * v[i] + 0.001 * g * g;
        double mean = m[i] / (1 - Math.pow(0.9, step));
        double square = v[i] / (1 - Math.pow(0.999, step));
        w[i] -= rate * mean / (Math.sqrt(square) + 1e-8);
      }
    }
    return w;
  }

  @ParameterizedTest
  @CsvSource({"0", "1", "100"})
  void weightsFollowAdamWInDoubleAndTheNormIsClipped(double maxNorm) {
    Parameter p = parameter("p", new float[] {0.5f, -1, 2}, 1, 3);
    float[][] gradients = {{3, 4, 0}, {0.1f, -2, 1}, {-1, 1, 5}};
    double[] master = {0.5, -1, 2};
    double[] m = new double[3];
    double[] v = new double[3];
    try (var optimizer =
        new ReplicatedOptimizer(
            backend, ParameterLayout.of(List.of(p), 1), AdamW.PUBLISHED, Untouched.ZERO_GRADIENT)) {
      for (int step = 1; step <= 3; step++) {
        float[] g = gradients[step - 1];
        double norm = Math.sqrt(g[0] * g[0] + g[1] * g[1] + g[2] * g[2]);
        double scale = maxNorm == 0 ? 1 : Math.min(1, maxNorm / (norm + 1e-6));
        optimizer.gradients(true).accept(p, array(g, 1, 3));
        Optimizer.Update update = optimizer.step(0.01, maxNorm);
        assertThat(update.gradientNorm()).isCloseTo(norm, within(1e-6));
        assertThat(update.scale()).isCloseTo(scale, within(1e-7));
        for (int i = 0; i < 3; i++) {
          m[i] = 0.9 * m[i] + 0.1 * g[i] * scale;
          v[i] = 0.999 * v[i] + 0.001 * g[i] * scale * g[i] * scale;
          double mHat = m[i] / (1 - Math.pow(0.9, step));
          double vHat = v[i] / (1 - Math.pow(0.999, step));
          master[i] -= 0.01 * mHat / (Math.sqrt(vHat) + 1e-8);
        }
      }
    }
    for (int i = 0; i < 3; i++) {
      assertThat(values(p)[i]).isCloseTo((float) master[i], within(2e-6f));
    }
  }

  @ParameterizedTest
  @CsvSource({"ZERO_GRADIENT", "SKIP"})
  void aParameterWithoutGradientIsMovedByItsMomentumOrLeftAlone(Untouched untouched) {
    Parameter busy = parameter("busy", new float[] {1}, 1, 1);
    Parameter idle = parameter("idle", new float[] {1}, 1, 1);
    ParameterLayout layout = ParameterLayout.of(List.of(busy, idle), 1);
    try (var optimizer = new ReplicatedOptimizer(backend, layout, AdamW.PUBLISHED, untouched)) {
      optimizer.gradients(true).accept(busy, array(new float[] {1}, 1, 1));
      optimizer.gradients(true).accept(idle, array(new float[] {1}, 1, 1));
      assertThat(optimizer.step(0.1, 0).updated()).isEqualTo(2);
      float before = values(idle)[0];
      long version = idle.version();
      optimizer.gradients(true).accept(busy, array(new float[] {1}, 1, 1));
      int updated = optimizer.step(0.1, 0).updated();
      switch (untouched) {
        case ZERO_GRADIENT -> {
          assertThat(updated).isEqualTo(2);
          assertThat(values(idle)[0]).isLessThan(before - 0.05f);
        }
        case SKIP -> {
          assertThat(updated).isEqualTo(1);
          assertThat(values(idle)[0]).isEqualTo(before);
          assertThat(idle.version()).isEqualTo(version);
        }
      }
      var saved = new Saved();
      optimizer.save(saved);
      assertThat(saved.numbers.get("step")).containsExactly(2, untouched == Untouched.SKIP ? 1 : 2);
    }
  }

  @Test
  void updatesTooSmallForBf16AddUpInTheMasters() {
    try (Backend cpu = Backends.open("cpu", new BackendProvider.Options(1, 0));
        Arena memory = cpu.arena("weights")) {
      Array ones = cpu.floats(memory, DType.BF16, new float[] {1, 1}, 1, 2);
      var p = new Parameter("p", Parameter.Role.NEW_EXPERT, ones);
      p.trainable(true);
      Array gradient = cpu.floats(memory, DType.F32, new float[] {1, 1}, 1, 2);
      ParameterLayout layout = ParameterLayout.of(List.of(p), 1);
      try (var optimizer =
          new ReplicatedOptimizer(cpu, layout, AdamW.PUBLISHED, Untouched.ZERO_GRADIENT)) {
        optimizer.gradients(true).accept(p, gradient);
        optimizer.step(1e-4, 0);
        assertThat(cpu.toFloats(memory, ones)).as("after 1").containsExactly(1, 1);
        for (int step = 2; step <= 100; step++) {
          optimizer.gradients(true).accept(p, gradient);
          optimizer.step(1e-4, 0);
        }
        assertThat(cpu.toFloats(memory, ones)).containsExactly(0.98828125f, 0.98828125f);
      }
    }
  }

  @Test
  void stateComesBackByName() {
    Parameter p = parameter("p", new float[] {1, 2}, 1, 2);
    ParameterLayout layout = ParameterLayout.of(List.of(p), 1);
    var saved = new Saved();
    float[] want;
    try (var optimizer =
        new ReplicatedOptimizer(backend, layout, AdamW.PUBLISHED, Untouched.SKIP)) {
      optimizer.gradients(true).accept(p, array(new float[] {1, -3}, 1, 2));
      optimizer.step(0.1, 1);
      optimizer.save(saved);
      want = values(p);
    }
    backend.fillInto(p.data(), 9);
    try (var optimizer =
        new ReplicatedOptimizer(backend, layout, AdamW.PUBLISHED, Untouched.SKIP)) {
      optimizer.load(saved);
      assertThat(values(p)).isEqualTo(want);
      var again = new Saved();
      optimizer.save(again);
      assertThat(again.arrays.keySet())
          .containsExactlyInAnyOrder("master.p", "exp_avg.p", "exp_avg_sq.p");
      again.arrays.forEach((name, v) -> assertThat(v).isEqualTo(saved.arrays.get(name)));
    }
  }

  private final class Saved implements Optimizer.StateWriter, Optimizer.StateReader {
    private final Map<String, float[]> arrays = new HashMap<>();
    private final Map<String, long[]> numbers = new HashMap<>();

    @Override
    public void piece(String name, long total, long from, Array into) {
      float[] values = arrays.get(name);
      if (values == null) {
        values = new float[(int) into.size()];
        backend.copyOut(into, MemorySegment.ofArray(values));
        arrays.put(name, values);
      } else {
        backend.copyIn(into, MemorySegment.ofArray(values));
      }
    }

    @Override
    public void numbers(String name, long[] values) {
      numbers.put(name, values);
    }

    @Override
    public long[] numbers(String name, int count) {
      return java.util.Objects.requireNonNull(numbers.get(name));
    }
  }
}
