package io.moextend.shard;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.autograd.GradientSink;
import io.moextend.autograd.Parameter;
import io.moextend.backend.Backend;
import java.util.BitSet;

/** The gradients of a step in one flat wide buffer, added up over its micro-batches. */
public final class FlatGradients implements GradientSink {
  private final Backend backend;
  private final ParameterLayout layout;
  private final Array flat;
  private final BitSet touched = new BitSet();

  /**
   * @param arena owns the buffer; outlives this
   */
  public FlatGradients(Backend backend, Arena arena, ParameterLayout layout) {
    this.backend = backend;
    this.layout = layout;
    this.flat = arena.allocate(layout.wide(), layout.length());
    clear();
  }

  @Override
  public void accept(Parameter parameter, Array gradient) {
    ParameterLayout.Slice slice = layout.slice(parameter);
    backend.accumulateInto(slice.of(flat), gradient, 1);
    touched.set(slice.index());
  }

  /** [length] of the layout; 0 where no gradient came. */
  public Array flat() {
    return flat;
  }

  /** True where the parameter got a gradient since the last {@link #clear}, be it 0. */
  public boolean touched(ParameterLayout.Slice slice) {
    return touched.get(slice.index());
  }

  public void clear() {
    backend.fillInto(flat, 0);
    touched.clear();
  }
}
