package io.moextend.shard;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider;
import io.moextend.backend.Backends;
import io.moextend.data.GoldenTensors;
import io.moextend.optim.Adafactor;
import io.moextend.shard.ReplicatedOptimizer.Untouched;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntFunction;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Adafactor's steps against numbers of the original. */
class AdafactorStepsTest {
  private static final String CASE = "mov/adafactor_factored/";
  private static final double RATE = 1e-3;

  private static final Map<String, long[]> SHAPES =
      Map.of(
          "wide", new long[] {128, 130},
          "tall", new long[] {131, 128},
          "square", new long[] {128, 128},
          "small", new long[] {127, 140},
          "vector", new long[] {150});

  /** Parameters on a backend, and the optimizer that changes them. */
  private static final class Steps implements AutoCloseable {
    final Backend backend;
    final Arena arena;
    final Map<String, Parameter> parameters = new LinkedHashMap<>();
    final ParameterLayout layout;
    final Optimizer optimizer;

    @MustBeClosed
    @SuppressWarnings("MustBeClosedChecker") // closed by close()
    Steps(String name, Adafactor rule, Map<String, long[]> shapes, Map<String, float[]> values) {
      backend = Backends.open(name, new BackendProvider.Options(1, 0));
      arena = backend.arena("weights");
      for (String parameter : shapes.keySet().stream().sorted().toList()) {
        long[] shape = shapes.get(parameter);
        Array data = backend.floats(arena, DType.F32, values.get(parameter), shape);
        parameters.put(parameter, new Parameter(parameter, Role.BACKBONE, data));
      }
      parameters.values().forEach(p -> p.trainable(true));
      layout = ParameterLayout.of(List.copyOf(parameters.values()), 1);
      optimizer = new ReplicatedOptimizer(backend, layout, rule, Untouched.ZERO_GRADIENT);
    }

    void step(double rate, Map<String, float[]> gradients) {
      try (Arena step = backend.arena("step")) {
        gradients.forEach(
            (name, values) -> {
              Parameter p = parameters.get(name);
              Array gradient = backend.floats(step, DType.F32, values, p.shape());
              optimizer.gradients(true).accept(p, gradient);
            });
        optimizer.step(rate, 0);
      }
    }

    float[] values(String parameter) {
      return backend.toFloats(arena, parameters.get(parameter).data());
    }

    double[] state(String name) {
      var saved = new SavedState();
      optimizer.save(saved.writer(backend));
      return saved.whole().array(name);
    }

    @Override
    public void close() {
      optimizer.close();
      arena.close();
      backend.close();
    }
  }

  private static double rms(float[] values) {
    return Math.sqrt(
        IntStream.range(0, values.length).mapToDouble(i -> values[i] * values[i]).sum()
            / values.length);
  }

  @ParameterizedTest
  @CsvSource({"cpu, 0", "cpu, 1100000", "nd4j, 0", "nd4j, 1100000"})
  void threeStepsAreTheOriginals(String backend, long start) throws IOException {
    var inputs = new GoldenTensors(CASE + "inputs.safetensors");
    var expected = new GoldenTensors(CASE + "expected.safetensors");
    var before = new LinkedHashMap<String, float[]>();
    SHAPES.keySet().forEach(name -> before.put(name, inputs.floats("param." + name)));
    try (var steps = new Steps(backend, Adafactor.from(start), SHAPES, before)) {
      for (int step = 0; step < 3; step++) {
        var gradients = new LinkedHashMap<String, float[]>();
        for (String name : SHAPES.keySet()) {
          gradients.put(name, inputs.floats("grad." + step + "." + name));
        }
        steps.step(RATE, gradients);
      }
      String prefix = "step" + start + ".";
      for (String name : SHAPES.keySet()) {
        double scale = Math.max(1e-3, rms(before.get(name)));
        compare(steps.values(name), expected.floats(prefix + "param." + name), 1e-2 * RATE * scale);
        List<String> kinds =
            name.equals("small") || name.equals("vector")
                ? List.of("v")
                : List.of("v_row", "v_col");
        for (String kind : kinds) {
          compareState(steps.state(kind + "." + name), expected.floats(prefix + kind + "." + name));
        }
      }
    }
  }

  private static void compare(float[] got, float[] want, double tolerance) {
    assertThat(got).hasSameSizeAs(want);
    for (int i = 0; i < want.length; i++) {
      double allowed = tolerance + 3e-7 * Math.abs(want[i]);
      assertThat((double) got[i]).as("element %d", i).isCloseTo(want[i], within(allowed));
    }
  }

  private static void compareState(double[] got, float[] want) {
    assertThat(got).hasSize(want.length);
    double largest = IntStream.range(0, want.length).mapToDouble(i -> want[i]).max().orElse(0);
    for (int i = 0; i < want.length; i++) {
      assertThat(got[i]).as("element %d", i).isCloseTo(want[i], within(1e-5 * largest));
    }
  }

  private static final float[] FIRST = {1, -2, 0.5f, 0, 3, -1};
  private static final float[] SECOND = {0.5f, 1, 1, 2, -3, 0.1f};

  @ParameterizedTest
  @CsvSource({"cpu", "nd4j"})
  void aSmallMatrixGoesAsTheSpecificationSays(String backend) {
    twoSteps(
        backend,
        0,
        new float[] {.9997f, 1.0003f, .9997f, 1, .9997f, 1.0003f},
        new float[] {.99950123f, 1.00010121f, .99933642f, .99960417f, 1.0f, 1.00025439f});
    twoSteps(
        backend,
        1_100_000,
        new float[] {.99967134f, 1.00032866f, .99967134f, 1, .99967134f, 1.00032866f},
        new float[] {.99947172f, 1.00012898f, .99927211f, .99955362f, .99998695f, 1.00028419f});
  }

  private static void twoSteps(String backend, long start, float[] first, float[] second) {
    float[] ones = {1, 1, 1, 1, 1, 1};
    try (var steps =
        new Steps(
            backend, Adafactor.from(start), Map.of("p", new long[] {2, 3}), Map.of("p", ones))) {
      steps.step(3e-4, Map.of("p", FIRST));
      assertThat(steps.values("p")).containsExactly(first, within(1.2e-7f));
      if (start > 0) {
        assertThat((float) steps.state("v.p")[0]).isEqualTo(1.4662743e-5f);
      }
      steps.step(3e-4, Map.of("p", SECOND));
      assertThat(steps.values("p")).containsExactly(second, within(1.2e-7f));
    }
  }

  @ParameterizedTest
  @CsvSource({"cpu", "nd4j"})
  void zerosMoveByTheLeastScaleAgainstTheSignAndNotWhereTheGradientIsZero(String backend) {
    try (var steps =
        new Steps(
            backend,
            Adafactor.from(1_100_000),
            Map.of("p", new long[] {2, 3}),
            Map.of("p", new float[6]))) {
      steps.step(3e-4, Map.of("p", FIRST));
      float by = 3.2863355e-7f;
      assertThat(steps.values("p"))
          .containsExactly(new float[] {-by, by, -by, 0, -by, by}, within(1e-12f));
    }
  }

  private static float[] matrix(IntFunction<IntFunction<Double>> of) {
    var values = new float[128 * 130];
    for (int i = 0; i < values.length; i++) {
      values[i] = of.apply(i / 130).apply(i % 130).floatValue();
    }
    return values;
  }

  @ParameterizedTest
  @CsvSource({
    "cpu, 0, .67481636",
    "cpu, 1100000, .67700660",
    "nd4j, 0, .67481636",
    "nd4j, 1100000, .67700660"
  })
  void aFactoredMatrixMovesAsFarAsTheSpecificationSays(
      String backend, long start, double distance) {
    float[] w = matrix(r -> c -> 0.05 * Math.sin(.3 * r + .17 * c));
    try (var steps =
        new Steps(
            backend, Adafactor.from(start), Map.of("p", new long[] {128, 130}), Map.of("p", w))) {
      steps.step(1e-3, Map.of("p", matrix(r -> c -> Math.sin(.011 * r * c + 1))));
      steps.step(1e-3, Map.of("p", matrix(r -> c -> Math.cos(.02 * r + .5 * c))));
      float[] now = steps.values("p");
      double moved = IntStream.range(0, w.length).mapToDouble(i -> Math.abs(now[i] - w[i])).sum();
      assertThat(moved).isCloseTo(distance, within(2e-5));
      if (start == 0) {
        assertThat(new float[] {now[0], now[1], now[2]})
            .containsExactly(
                new float[] {-7.4610e-5f, 8.3941035e-3f, 1.6613176e-2f}, within(1e-8f));
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"cpu, 200", "nd4j, 20"})
  void stateTakesWhatWasPredictedAndDoesNotGrow(String backend, int count) {
    var values = new LinkedHashMap<String, float[]>();
    SHAPES.forEach((name, shape) -> values.put(name, new float[(int) Array.sizeOf(shape)]));
    values.values().forEach(v -> java.util.Arrays.fill(v, 0.5f));
    try (var steps = new Steps(backend, Adafactor.from(0), SHAPES, values)) {
      MemoryPlan plan = MemoryPlan.of(steps.layout, ZeroStage.NONE, Adafactor.from(0), DType.F32);
      long state = 128 + 130 + 131 + 128 + 128 + 128 + 127 * 140 + 150;
      assertThat(plan.state()).isEqualTo(4 * state);
      steps.step(RATE, values);
      long live = steps.backend.memory().liveBytes();
      var held = new ArrayList<Long>();
      for (int step = 0; step < count; step++) {
        steps.step(RATE, values);
        held.add(steps.backend.memory().liveBytes());
      }
      assertThat(held).containsOnly(live);
      long weights = values.values().stream().mapToLong(v -> 4L * v.length).sum();
      assertThat(live - weights).isEqualTo(plan.masters() + plan.state());
    }
  }

  /** Otherwise the mixtures' scale would not be the one over all experts. */
  @Test
  void aParametersRateIsRelativeToAllOfIt() {
    float[] w = {1, 1, 1, 1e-2f};
    try (var steps =
        new Steps("cpu", Adafactor.from(0), Map.of("p", new long[] {4}), Map.of("p", w))) {
      steps.step(0.1, Map.of("p", new float[] {1, 1, 1, 1}));
      double by = 0.1 * rms(w);
      for (int i = 0; i < w.length; i++) {
        assertThat((double) steps.values("p")[i]).isCloseTo(w[i] - by, within(1e-7));
      }
    }
  }
}
