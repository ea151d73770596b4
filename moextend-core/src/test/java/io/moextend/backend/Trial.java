package io.moextend.backend;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.zip.CRC32C;

/**
 * One run of one case on one backend: makes inputs from a seed, watches that they stay as they
 * were, and collects results. Two backends given the same seed see the same values, rounded to the
 * type under test.
 */
final class Trial implements AutoCloseable {
  /** A named result, as doubles. */
  record Result(String name, DType dtype, long[] shape, double[] values, double loosened) {}

  private record Input(Array array, byte[] bytes) {}

  /** What a case throws itself when the input that was to be freed does not exist. */
  static final int NONE = -1;

  private final Backend backend;
  private final DType tested;
  private final DType compute;
  private final Random random;
  private final Arena arena;
  private final int freedInput;
  private final List<Input> inputs = new ArrayList<>();
  private final List<Matrix> matrices = new ArrayList<>();
  private final List<Result> results = new ArrayList<>();
  private int made;

  /**
   * @param tested what inputs are rounded to
   * @param compute what they are stored in: the type under test, or F64 for the oracle
   * @param freedInput number of the input that is freed before use, or {@link #NONE}
   */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // closed in close()
  Trial(Backend backend, DType tested, DType compute, long seed, int freedInput) {
    this.backend = backend;
    this.tested = tested;
    this.compute = compute;
    this.random = new Random(seed);
    this.arena = backend.arena("trial");
    this.freedInput = freedInput;
  }

  Backend backend() {
    return backend;
  }

  Arena arena() {
    return arena;
  }

  Random random() {
    return random;
  }

  /** The type products are computed in. */
  DType compute() {
    return compute;
  }

  DType wide() {
    return compute.wide();
  }

  /** Normally distributed values in the compute type. */
  Array values(long... shape) {
    return array(compute, tested, normal(shape), shape);
  }

  /** Given values in the compute type. */
  Array valuesOf(double[] values, long... shape) {
    return array(compute, tested, values, shape);
  }

  /** Normally distributed values in the wide type. */
  Array wideValues(long... shape) {
    return array(wide(), tested.wide(), normal(shape), shape);
  }

  Array wideValuesOf(double[] values, long... shape) {
    return array(wide(), tested.wide(), values, shape);
  }

  /** Values above zero in the wide type. */
  Array widePositive(long... shape) {
    double[] values = normal(shape);
    return wideValuesOf(Arrays.stream(values).map(x -> x * x + 0.01).toArray(), shape);
  }

  /** Integers in [0, bound). */
  Array ints(int bound, long... shape) {
    int[] values = random.ints(Array.sizeOf(shape), 0, bound).toArray();
    return intsOf(values, shape);
  }

  Array intsOf(int[] values, long... shape) {
    return array(DType.I32, DType.I32, Arrays.stream(values).asDoubleStream().toArray(), shape);
  }

  /** Zeros and ones, about a quarter of them zeros. */
  Array mask(long... shape) {
    double[] values = new double[Math.toIntExact(Array.sizeOf(shape))];
    Arrays.setAll(values, i -> random.nextInt(4) == 0 ? 0 : 1);
    return maskOf(values, shape);
  }

  Array maskOf(double[] values, long... shape) {
    return array(DType.U8, DType.U8, values, shape);
  }

  /** k different numbers below bound in each row. */
  Array choices(int rows, int k, int bound) {
    int[] chosen = new int[rows * k];
    for (int t = 0; t < rows; t++) {
      List<Integer> all = new ArrayList<>();
      for (int e = 0; e < bound; e++) {
        all.add(e);
      }
      Collections.shuffle(all, random);
      for (int j = 0; j < k; j++) {
        chosen[t * k + j] = all.get(j);
      }
    }
    return intsOf(chosen, rows, k);
  }

  double[] normal(long... shape) {
    double[] values = new double[Math.toIntExact(Array.sizeOf(shape))];
    Arrays.setAll(values, i -> random.nextGaussian());
    return values;
  }

  private Array array(DType stored, DType rounded, double[] values, long[] shape) {
    double[] exact = Arrays.stream(values).map(x -> Rounding.to(rounded, x)).toArray();
    return input(stored, Rounding.encode(stored, exact), shape);
  }

  private Array input(DType dtype, MemorySegment bytes, long[] shape) {
    Array array = arena.allocate(dtype, shape);
    backend.copyIn(array, bytes);
    inputs.add(new Input(array, bytes.toArray(ValueLayout.JAVA_BYTE)));
    if (made++ == freedInput) {
      arena.free(array);
    }
    return array;
  }

  /** A copy of an input that a kernel may write. */
  Array state(Array input) {
    Array copy = arena.allocate(input.dtype(), input.shape());
    backend.copyInto(copy, input);
    return copy;
  }

  @SuppressWarnings("MustBeClosedChecker") // closed in close()
  Matrix matrix(boolean frozen, Array... parts) {
    Matrix matrix = backend.matrix(List.of(parts), frozen);
    matrices.add(matrix);
    return matrix;
  }

  /** Number of inputs made so far. */
  int made() {
    return made;
  }

  /** True where the i-th input has elements, so that no kernel can pass it over. */
  boolean hasElements(int i) {
    return inputs.get(i).array().size() > 0;
  }

  void result(String name, Array array, DType dtype, long... shape) {
    loosely(name, array, dtype, 1, shape);
  }

  /**
   * A result whose rows may cancel to nearly nothing: it is compared relative to the largest number
   * of the whole array.
   *
   * @param loosened what the tolerance is multiplied by
   */
  void loosely(String name, Array array, DType dtype, double loosened, long... shape) {
    assertThat(array.dtype()).as("type of %s", name).isEqualTo(dtype);
    assertThat(array.shape()).as("shape of %s", name).isEqualTo(shape);
    results.add(new Result(name, dtype, shape, read(array), loosened));
  }

  /** A wide result that a backend may compute from numbers rounded to the compute type. */
  void rounded(String name, Array array, long... shape) {
    double loosened = 4 * Tolerance.of(compute) / Tolerance.of(wide());
    loosely(name, array, wide(), loosened, shape);
  }

  double[] read(Array array) {
    MemorySegment bytes = MemorySegment.ofArray(new byte[Math.toIntExact(array.bytes())]);
    backend.copyOut(array, bytes);
    return Rounding.decode(array.dtype(), bytes);
  }

  List<Result> results() {
    return results;
  }

  void requireInputsUnchanged() {
    for (int i = 0; i < inputs.size(); i++) {
      Input input = inputs.get(i);
      byte[] now = new byte[input.bytes().length];
      backend.copyOut(input.array(), MemorySegment.ofArray(now));
      assertThat(now).as("input %d, %s, after the call", i, input.array()).isEqualTo(input.bytes());
    }
  }

  /** Of the values of all inputs, whatever they are stored in. */
  long fingerprint() {
    var crc = new CRC32C();
    for (Input input : inputs) {
      double[] values =
          Rounding.decode(input.array().dtype(), MemorySegment.ofArray(input.bytes()));
      byte[] bytes = new byte[values.length * Double.BYTES];
      MemorySegment.ofArray(bytes).asByteBuffer().asDoubleBuffer().put(values);
      crc.update(bytes);
    }
    return crc.getValue();
  }

  @Override
  public void close() {
    matrices.forEach(Matrix::close);
    arena.close();
  }
}
