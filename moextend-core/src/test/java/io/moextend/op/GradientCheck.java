package io.moextend.op;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Backend;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.assertj.core.data.Offset;

/**
 * Compares what a tape delivers with central differences of the forward pass, in F64. The loss is
 * the sum of all outputs times fixed random numbers. Checked are: every input alone trained and all
 * together, with and without checkpointing; an input that is frozen gets no gradient.
 */
final class GradientCheck implements AutoCloseable {
  /** Half the distance of a difference. */
  private static final double STEP = 1e-5;

  private static final double ALLOWED = 2e-7;

  /** What is checked: outputs of inputs that flow in; weights it closes over. */
  @FunctionalInterface
  interface Graph {
    List<Tensor> run(Tape tape, List<Tensor> flowing);
  }

  /** How the graph is run. */
  private enum Mode {
    PLAIN,
    CHECKPOINTED
  }

  private final Backend backend;
  private final long seed;
  private final Random random;
  private final Arena arena;
  private final List<Parameter> flowing = new ArrayList<>();
  private final List<Parameter> leaves = new ArrayList<>();
  private final List<Weight> weights = new ArrayList<>();

  @SuppressWarnings("MustBeClosedChecker") // closed in close()
  GradientCheck(Backend backend, long seed) {
    this.backend = backend;
    this.seed = seed;
    this.random = new Random(seed);
    this.arena = backend.arena("leaves");
  }

  /** A size from 1 to most. */
  int size(int most) {
    return 1 + random.nextInt(most);
  }

  /** One more tensor that flows in, normally distributed. */
  GradientCheck input(long... shape) {
    flowing.add(leaf("input " + flowing.size(), normal(shape), shape));
    return this;
  }

  /** One more tensor that flows in, above zero. */
  GradientCheck positive(long... shape) {
    double[] values = Arrays.stream(normal(shape)).map(x -> x * x + 0.1).toArray();
    flowing.add(leaf("input " + flowing.size(), values, shape));
    return this;
  }

  /** A weight the graph closes over, normally distributed. */
  Parameter parameter(long... shape) {
    return leaf("weight " + leaves.size(), normal(shape), shape);
  }

  Weight weight(List<Parameter> parts, List<Parameter> biases) {
    var weight = new Weight(backend, parts, biases);
    weights.add(weight);
    return weight;
  }

  /** Numbers below {@code bound}. */
  Array ints(int bound, long... shape) {
    return ints(random.ints(Array.sizeOf(shape), 0, bound).toArray(), shape);
  }

  Array ints(int[] values, long... shape) {
    return backend.ints(arena, values, shape);
  }

  /** Numbers of one byte each. */
  Array bytes(byte[] values, long... shape) {
    return backend.bytes(arena, values, shape);
  }

  /** k different numbers below {@code bound} for each of some rows. */
  Array choices(int rows, int k, int bound) {
    int[] chosen = new int[rows * k];
    for (int t = 0; t < rows; t++) {
      int[] some = random.ints(0, bound).distinct().limit(k).toArray();
      System.arraycopy(some, 0, chosen, t * k, k);
    }
    return ints(chosen, rows, k);
  }

  /** Different numbers below {@code bound}. */
  Array different(int count, int bound) {
    return ints(random.ints(0, bound).distinct().limit(count).toArray(), count);
  }

  /** Zeros and ones; the first is a one. */
  Array mask(long... shape) {
    byte[] values = new byte[Math.toIntExact(Array.sizeOf(shape))];
    for (int i = 0; i < values.length; i++) {
      values[i] = (byte) (i == 0 || random.nextInt(3) > 0 ? 1 : 0);
    }
    return backend.bytes(arena, values, shape);
  }

  /** Normally distributed numbers nobody trains. */
  Array numbers(long... shape) {
    return backend.doubles(arena, DType.F64, normal(shape), shape);
  }

  private Parameter leaf(String name, double[] values, long... shape) {
    var leaf = new Parameter(name, Role.BACKBONE, backend.doubles(arena, DType.F64, values, shape));
    leaves.add(leaf);
    return leaf;
  }

  private double[] normal(long... shape) {
    double[] values = new double[Math.toIntExact(Array.sizeOf(shape))];
    Arrays.setAll(values, i -> random.nextGaussian());
    return values;
  }

  void agree(Graph graph) {
    leaves.forEach(leaf -> leaf.trainable(true));
    List<double[]> factors = factors(graph);
    Map<String, double[]> wanted = new HashMap<>();
    leaves.forEach(leaf -> wanted.put(leaf.name(), differences(graph, factors, leaf)));
    for (Mode mode : Mode.values()) {
      leaves.forEach(leaf -> leaf.trainable(true));
      compare(mode, graph, factors, wanted);
      for (Parameter alone : leaves) {
        leaves.forEach(leaf -> leaf.trainable(leaf == alone));
        compare(mode, graph, factors, wanted);
      }
      leaves.forEach(leaf -> leaf.trainable(false));
      compare(mode, graph, factors, wanted);
    }
  }

  private void compare(
      Mode mode, Graph graph, List<double[]> factors, Map<String, double[]> wanted) {
    List<String> trained =
        leaves.stream().filter(Parameter::requiresGrad).map(Parameter::name).toList();
    Map<String, double[]> got = gradients(mode, graph, factors);
    assertThat(got.keySet())
        .as("seed %d, %s: who gets a gradient", seed, mode)
        .containsExactlyInAnyOrderElementsOf(trained);
    got.forEach(
        (name, gradient) -> {
          double[] want = wanted.get(name);
          double largest = Math.max(1, Arrays.stream(want).map(Math::abs).max().orElse(0));
          assertThat(gradient)
              .as("seed %d, %s, trained %s: gradient of %s", seed, mode, trained, name)
              .containsExactly(want, Offset.offset(ALLOWED * largest));
        });
  }

  private Map<String, double[]> gradients(Mode mode, Graph graph, List<double[]> factors) {
    Map<String, double[]> got = new HashMap<>();
    try (Arena step = backend.arena("step")) {
      Tape tape = Tape.recording(backend, step, (p, d) -> got.merge(p.name(), read(d), this::sum));
      List<Tensor> outs =
          switch (mode) {
            case PLAIN -> graph.run(tape, List.copyOf(flowing));
            case CHECKPOINTED -> tape.checkpoint(recorded(tape, step), graph::run);
          };
      Array dLoss = backend.doubles(step, DType.F64, new double[] {1}, 1);
      List<Array> dOuts = new ArrayList<>();
      for (int i = 0; i < outs.size(); i++) {
        long[] shape = outs.get(i).data().shape();
        dOuts.add(backend.doubles(step, DType.F64, factors.get(i), shape));
      }
      Tensor loss = tape.record("loss", dLoss, outs, List.of(), d -> dOuts);
      tape.backward(loss, dLoss);
      assertThat(tape.length()).as("ops left after backward").isZero();
    }
    return got;
  }

  /** The flowing inputs as outputs of an op, as within a model. */
  private List<Tensor> recorded(Tape tape, Arena step) {
    List<Tensor> tensors = new ArrayList<>();
    for (Parameter input : flowing) {
      Array zeros = step.allocate(DType.F64, input.data().shape());
      backend.fillInto(zeros, 0);
      tensors.add(Add.apply(tape, input, Tensor.constant(zeros)));
    }
    return tensors;
  }

  private double[] sum(double[] a, double[] b) {
    double[] sum = new double[a.length];
    Arrays.setAll(sum, i -> a[i] + b[i]);
    return sum;
  }

  private List<double[]> factors(Graph graph) {
    return outputs(graph).stream().map(out -> normal(out.length)).toList();
  }

  private List<double[]> outputs(Graph graph) {
    try (Arena scratch = backend.arena("forward")) {
      return graph.run(Tape.off(backend, scratch), List.copyOf(flowing)).stream()
          .map(out -> read(out.data()))
          .toList();
    }
  }

  private double[] differences(Graph graph, List<double[]> factors, Parameter leaf) {
    double[] values = read(leaf.data());
    double[] slopes = new double[values.length];
    for (int i = 0; i < values.length; i++) {
      double here = values[i];
      values[i] = here + STEP;
      double above = loss(graph, factors, leaf, values);
      values[i] = here - STEP;
      double below = loss(graph, factors, leaf, values);
      values[i] = here;
      slopes[i] = (above - below) / (2 * STEP);
    }
    set(leaf, values);
    return slopes;
  }

  private double loss(Graph graph, List<double[]> factors, Parameter leaf, double[] values) {
    set(leaf, values);
    double sum = 0;
    List<double[]> outs = outputs(graph);
    for (int i = 0; i < outs.size(); i++) {
      for (int j = 0; j < outs.get(i).length; j++) {
        sum += outs.get(i)[j] * factors.get(i)[j];
      }
    }
    return sum;
  }

  private void set(Parameter leaf, double[] values) {
    backend.copyIn(leaf.data(), MemorySegment.ofArray(values));
    leaf.updated();
  }

  private double[] read(Array array) {
    assertThat(array.dtype()).isEqualTo(DType.F64);
    double[] values = new double[Math.toIntExact(array.size())];
    backend.copyOut(array, MemorySegment.ofArray(values));
    return values;
  }

  @Override
  public void close() {
    weights.forEach(Weight::close);
    arena.close();
  }
}
