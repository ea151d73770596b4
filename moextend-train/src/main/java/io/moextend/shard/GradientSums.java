package io.moextend.shard;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.autograd.GradientSink;
import io.moextend.autograd.Parameter;
import io.moextend.backend.Backend;
import java.util.BitSet;
import org.jspecify.annotations.Nullable;

/**
 * The gradients of a step, added up over its micro-batches. A parameter's sum takes memory from its
 * first gradient until {@link #clear}: by then the backward pass has given back activations of
 * about that size.
 */
public final class GradientSums implements GradientSink {
  private final Backend backend;
  private final Arena arena;
  private final ParameterLayout layout;
  private final @Nullable Array[] sums;
  private final BitSet touched = new BitSet();

  /**
   * @param arena owns the sums; outlives this
   */
  public GradientSums(Backend backend, Arena arena, ParameterLayout layout) {
    this.backend = backend;
    this.arena = arena;
    this.layout = layout;
    this.sums = new Array[layout.slices().size()];
  }

  @Override
  public void accept(Parameter parameter, Array gradient) {
    ParameterLayout.Slice slice = layout.slice(parameter);
    Array flat = gradient.reshape(gradient.size());
    Array sum = sums[slice.index()];
    if (sum == null) {
      sum = allocate(slice);
      backend.copyInto(sum, flat);
    } else {
      backend.accumulateInto(sum, flat, 1);
    }
    touched.set(slice.index());
  }

  @Override
  public boolean take(Parameter parameter, Array gradient, Arena owner) {
    ParameterLayout.Slice slice = layout.slice(parameter);
    boolean whole = gradient.base() == gradient && owner.owns(gradient);
    if (!whole || gradient.dtype() != layout.wide() || sums[slice.index()] != null) {
      return false;
    }
    owner.handOver(gradient, arena);
    sums[slice.index()] = gradient.reshape(gradient.size());
    touched.set(slice.index());
    return true;
  }

  private Array allocate(ParameterLayout.Slice slice) {
    Array sum = arena.allocate(layout.wide(), slice.to() - slice.from());
    sums[slice.index()] = sum;
    return sum;
  }

  /** The parameter's, wide and in one dimension; 0 where no gradient came. */
  public Array of(ParameterLayout.Slice slice) {
    Array sum = sums[slice.index()];
    if (sum == null) {
      sum = allocate(slice);
      backend.fillInto(sum, 0);
    }
    return sum;
  }

  /** Over all gradients that came. */
  double sumOfSquares() {
    double sum = 0;
    try (Arena scratch = backend.arena("gradient norm")) {
      for (Array gradient : sums) {
        if (gradient != null) {
          sum += backend.toDouble(backend.sumOfSquares(scratch, gradient));
        }
      }
    }
    return sum;
  }

  /** True where the parameter got a gradient since the last {@link #clear}, be it 0. */
  public boolean touched(ParameterLayout.Slice slice) {
    return touched.get(slice.index());
  }

  /** Forgets all gradients and gives their memory back. */
  public void clear() {
    for (int i = 0; i < sums.length; i++) {
      Array sum = sums[i];
      if (sum != null) {
        arena.free(sum);
        sums[i] = null;
      }
    }
    touched.clear();
  }
}
