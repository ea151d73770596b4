package io.moextend.model;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.backend.Backend;
import io.moextend.nn.ParameterFactory;
import java.util.Set;
import java.util.function.ToDoubleFunction;
import java.util.random.RandomGenerator;
import java.util.random.RandomGeneratorFactory;

/** A random start, the same for the same seed and name whatever else the model has. */
public final class FreshParameters implements ParameterFactory {
  private final Backend backend;
  private final Arena arena;
  private final DType dtype;
  private final ParameterChoice trained;
  private final Draws draws;
  private final long seed;

  /** How the values of a parameter that starts with {@link Init#NORMAL} are drawn. */
  @FunctionalInterface
  public interface Draws {
    /**
     * @return gives one value after the other
     */
    ToDoubleFunction<RandomGenerator> of(String name, long... shape);

    /** All normally distributed, with one standard deviation. */
    static Draws normal(double range) {
      return (name, shape) -> random -> random.nextGaussian() * range;
    }
  }

  /**
   * @param range standard deviation of {@link Init#NORMAL}: initializer_range
   */
  public FreshParameters(
      Backend backend, Arena arena, DType dtype, Set<Role> trained, double range, long seed) {
    this(backend, arena, dtype, ParameterChoice.of(trained), range, seed);
  }

  /** As above, where what trains is not whole roles. */
  public FreshParameters(
      Backend backend, Arena arena, DType dtype, ParameterChoice trained, double range, long seed) {
    this(backend, arena, dtype, trained, Draws.normal(range), seed);
  }

  /** As above, where not all are drawn alike. */
  public FreshParameters(
      Backend backend, Arena arena, DType dtype, ParameterChoice trained, Draws draws, long seed) {
    this.backend = backend;
    this.arena = arena;
    this.dtype = dtype;
    this.trained = trained;
    this.draws = draws;
    this.seed = seed;
  }

  @Override
  public Backend backend() {
    return backend;
  }

  @Override
  public Parameter parameter(String name, Role role, Init init, long... shape) {
    Array data = arena.allocate(dtype, shape);
    switch (init) {
      case ZEROS -> backend.fillInto(data, 0);
      case ONES -> backend.fillInto(data, 1);
      case NORMAL -> fill(data, name, draws.of(name, shape));
    }
    var parameter = new Parameter(name, role, data);
    parameter.trainable(trained.has(name, role));
    return parameter;
  }

  /** By slices, so that a large matrix does not need its size again on the heap. */
  private void fill(Array data, String name, ToDoubleFunction<RandomGenerator> draw) {
    Array flat = data.reshape(data.size());
    RandomGenerator random =
        RandomGeneratorFactory.of("L64X128MixRandom").create(seed * 31 + name.hashCode());
    int most = 1 << 16;
    for (long from = 0; from < flat.size(); from += most) {
      float[] values = new float[(int) Math.min(most, flat.size() - from)];
      for (int i = 0; i < values.length; i++) {
        values[i] = (float) draw.applyAsDouble(random);
      }
      Array slice = backend.floats(arena, dtype, values, values.length);
      backend.copyInto(flat.slice(from, from + values.length), slice);
      arena.free(slice);
    }
  }

  @Override
  public String toString() {
    return "fresh " + dtype + " seed " + seed;
  }
}
