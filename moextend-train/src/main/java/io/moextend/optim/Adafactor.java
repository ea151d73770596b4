package io.moextend.optim;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.backend.AdafactorKernels.Move;
import io.moextend.backend.AdafactorKernels.Squares;
import io.moextend.backend.Backend;
import io.moextend.config.ConfigException;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Adafactor as T5X runs it: no momentum, no weight decay, rates relative to the size of the weights
 * and updates clipped by their root mean square. Matrices whose sides are long enough keep means of
 * rows and columns in place of a number for each weight; adapters never do.
 *
 * <p>The mean forgets more slowly as the steps go on, so the number of the first step matters: the
 * published adapters began where the pretrained checkpoint had ended, with nothing in their state.
 *
 * @param startStep steps made before the first of this run
 * @param exponent of the mean's decay: step t keeps 1 - t^-exponent of it
 * @param clip largest root mean square of an update before it is scaled
 * @param byParameter whether the rate is multiplied by the root mean square of the weights
 * @param factoredFrom length that both sides of a matrix need to have for rows and columns to be
 *     kept; {@link #NEVER} for none
 * @see <a href="https://arxiv.org/abs/1804.04235">Adafactor</a>, algorithm 5
 */
public record Adafactor(
    long startStep, double exponent, double clip, boolean byParameter, long factoredFrom)
    implements UpdateRule {
  /** Steps of the checkpoint that every published adapter began from. */
  public static final long PUBLISHED_START = 1_100_000;

  /** Sides of the matrices that T5X factors. */
  public static final long PUBLISHED_SIDES = 128;

  /** No matrix is factored. */
  public static final long NEVER = Long.MAX_VALUE;

  /** Added to squares of gradients. */
  private static final double LEAST_SQUARE = 1e-30;

  /** Least root mean square of weights that a rate is relative to. */
  private static final double LEAST_SCALE = 1e-3;

  public Adafactor {
    if (startStep < 0) {
      throw new ConfigException("start_step", startStep, "must not be negative");
    }
    if (!(exponent > 0)) {
      throw new ConfigException("decay_exponent", exponent, "must be greater than 0");
    }
    if (!(clip > 0)) {
      throw new ConfigException("clip_threshold", clip, "must be greater than 0");
    }
    if (factoredFrom < 1) {
      throw new ConfigException("min_dim_size_to_factor", factoredFrom, "must be at least 1");
    }
  }

  /** T5X's settings, with the steps counted from {@code startStep}. */
  public static Adafactor from(long startStep) {
    return new Adafactor(startStep, 0.8, 1, true, PUBLISHED_SIDES);
  }

  /** True where the parameter's state is of its rows and columns. */
  boolean factors(Parameter parameter) {
    long[] shape = parameter.shape();
    return parameter.role() != Role.ADAPTER
        && shape.length == 2
        && Math.min(shape[0], shape[1]) >= factoredFrom;
  }

  /** {@code v_row} has no longest side: of two alike it keeps the first, {@code v_col} the last. */
  @Override
  public List<State> state(Parameter parameter) {
    if (!factors(parameter)) {
      return List.of(State.like(parameter, "v"));
    }
    long[] shape = parameter.shape();
    return List.of(
        new State("v_row", Math.min(shape[0], shape[1]), false),
        new State("v_col", Math.max(shape[0], shape[1]), false));
  }

  /** Of squares of the update, and of the weights. */
  @Override
  public int sums() {
    return 2;
  }

  @Override
  public Array measure(Backend backend, Arena to, Target target, Step how) {
    Squares squares = squares(how);
    Array updates;
    if (factors(target.parameter())) {
      Array gradient = target.gradient().reshape(target.parameter().shape());
      updates = backend.factoredSquaresInto(to, rows(target), columns(target), gradient, squares);
    } else {
      updates = backend.squaresInto(to, target.state().getFirst(), target.gradient(), squares);
    }
    Array sums = to.allocate(DType.F64, 2);
    backend.copyInto(sums.slice(0, 1), updates);
    backend.copyInto(sums.slice(1, 2), backend.sumOfSquares(to, target.master()));
    return sums;
  }

  @Override
  public void update(Backend backend, Target target, @Nullable Array sums, Step how) {
    if (sums == null) {
      throw new IllegalArgumentException(target.parameter() + " was not measured");
    }
    Parameter parameter = target.parameter();
    var move =
        new Move(
            how.learningRate(),
            parameter.size(),
            clip,
            byParameter,
            LEAST_SCALE,
            how.gradientScale());
    if (factors(parameter)) {
      backend.factoredMoveInto(
          target.master().reshape(parameter.shape()),
          rows(target),
          columns(target),
          target.gradient().reshape(parameter.shape()),
          sums,
          move);
    } else {
      backend.moveInto(target.master(), target.state().getFirst(), target.gradient(), sums, move);
    }
  }

  /** Means over each row: {@code v_row}, unless columns are the longer side. */
  private static Array rows(Target target) {
    return target.state().get(isTall(target) ? 1 : 0);
  }

  private static Array columns(Target target) {
    return target.state().get(isTall(target) ? 0 : 1);
  }

  private static boolean isTall(Target target) {
    long[] shape = target.parameter().shape();
    return shape[0] > shape[1];
  }

  private Squares squares(Step how) {
    float decay = decay(startStep + how.step() - 1);
    return new Squares(decay, 1 - decay, LEAST_SQUARE, how.gradientScale());
  }

  /**
   * In float32 like the original: after a million steps what is mixed in, 1 minus this, is a few
   * hundred units of its last place, and the exact value another one.
   *
   * @param done steps made before
   */
  float decay(long done) {
    float t = (float) done + 1;
    return 1 - (float) Math.pow(t, -(float) exponent);
  }
}
