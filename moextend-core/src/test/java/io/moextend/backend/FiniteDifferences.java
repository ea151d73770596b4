package io.moextend.backend;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.BackendProvider.Options;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.assertj.core.data.Offset;

/**
 * Compares the gradients that a backward kernel gives with central differences of its forward
 * kernel, on the oracle in F64. The loss is the sum of the output times fixed random numbers.
 */
final class FiniteDifferences implements AutoCloseable {
  /**
   * Half the distance of a difference; its error goes with the square, rounding with 1e-16 / it.
   */
  private static final double STEP = 1e-5;

  private static final double ALLOWED = 1e-7;

  /** An output as a function of inputs. */
  @FunctionalInterface
  interface Forward {
    Array apply(Arena arena, List<Array> inputs);
  }

  /** One gradient for each input. */
  @FunctionalInterface
  interface Gradients {
    List<Array> apply(Arena arena, List<Array> inputs, Array dOut);
  }

  private final Backend backend;
  private final Arena fixed;
  private final Random random;
  private final long seed;
  private final List<long[]> shapes = new ArrayList<>();
  private final List<double[]> values = new ArrayList<>();

  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // closed in close()
  FiniteDifferences(long seed) {
    this.backend = Backends.open("nd4j", new Options(1, 0));
    this.fixed = backend.arena("fixed");
    this.random = new Random(seed);
    this.seed = seed;
  }

  Backend backend() {
    return backend;
  }

  /** Integers that the kernels read and nothing differentiates. */
  Array ints(int[] numbers, long... shape) {
    Array array = fixed.allocate(DType.I32, shape);
    backend.copyIn(array, MemorySegment.ofArray(numbers));
    return array;
  }

  Array mask(byte[] seen, long... shape) {
    Array array = fixed.allocate(DType.U8, shape);
    backend.copyIn(array, MemorySegment.ofArray(seen));
    return array;
  }

  /** Doubles that nothing differentiates. */
  Array constants(double[] numbers, long... shape) {
    return array(fixed, numbers, shape);
  }

  /** One more input, normally distributed. */
  FiniteDifferences input(long... shape) {
    return input(normal(shape), shape);
  }

  FiniteDifferences input(double[] given, long... shape) {
    shapes.add(shape);
    values.add(given);
    return this;
  }

  /** One more input, above zero. */
  FiniteDifferences positive(long... shape) {
    return input(Arrays.stream(normal(shape)).map(x -> x * x + 0.1).toArray(), shape);
  }

  private double[] normal(long... shape) {
    return random.doubles(Array.sizeOf(shape)).map(x -> random.nextGaussian()).toArray();
  }

  void agree(Forward forward, Gradients backward) {
    double[] weights;
    List<double[]> got = new ArrayList<>();
    try (Arena arena = backend.arena("gradient")) {
      List<Array> inputs = upload(arena);
      Array out = forward.apply(arena, inputs);
      weights = normal(out.shape());
      Array dOut = array(arena, weights, out.shape());
      for (Array gradient : backward.apply(arena, inputs, dOut)) {
        got.add(read(gradient));
      }
    }
    assertThat(got).as("gradients").hasSameSizeAs(values);
    for (int i = 0; i < values.size(); i++) {
      double[] want = differences(forward, weights, values.get(i));
      double size = Math.max(1, Arrays.stream(want).map(Math::abs).max().orElse(0));
      for (int j = 0; j < want.length; j++) {
        assertThat(got.get(i)[j])
            .as("seed %d, gradient of element %d of input %d", seed, j, i)
            .isCloseTo(want[j], Offset.offset(ALLOWED * size));
      }
    }
  }

  private double[] differences(Forward forward, double[] weights, double[] input) {
    double[] slopes = new double[input.length];
    for (int j = 0; j < input.length; j++) {
      double here = input[j];
      input[j] = here + STEP;
      double above = loss(forward, weights);
      input[j] = here - STEP;
      double below = loss(forward, weights);
      input[j] = here;
      slopes[j] = (above - below) / (2 * STEP);
    }
    return slopes;
  }

  private double loss(Forward forward, double[] weights) {
    try (Arena arena = backend.arena("difference")) {
      double[] out = read(forward.apply(arena, upload(arena)));
      double sum = 0;
      for (int i = 0; i < out.length; i++) {
        sum += out[i] * weights[i];
      }
      return sum;
    }
  }

  private List<Array> upload(Arena arena) {
    List<Array> arrays = new ArrayList<>();
    for (int i = 0; i < shapes.size(); i++) {
      arrays.add(array(arena, values.get(i), shapes.get(i)));
    }
    return arrays;
  }

  private Array array(Arena arena, double[] from, long... shape) {
    Array array = arena.allocate(DType.F64, shape);
    backend.copyIn(array, MemorySegment.ofArray(from));
    return array;
  }

  private double[] read(Array array) {
    double[] out = new double[Math.toIntExact(array.size())];
    backend.copyOut(array, MemorySegment.ofArray(out));
    return out;
  }

  @Override
  public void close() {
    fixed.close();
    backend.close();
  }
}
