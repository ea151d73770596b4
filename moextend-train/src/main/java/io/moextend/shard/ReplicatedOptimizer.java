package io.moextend.shard;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.autograd.GradientSink;
import io.moextend.autograd.Parameter;
import io.moextend.backend.Backend;
import io.moextend.optim.UpdateRule;
import io.moextend.shard.Holding.Part;
import io.moextend.shard.ParameterLayout.Slice;

/**
 * Every rank holds all gradients, masters and state (ZeRO-0): the version to read first, and the
 * oracle of the sharded ones. Masters and state are flat wide buffers in the layout's order; the
 * model's weights are the masters rounded to the compute type.
 */
public final class ReplicatedOptimizer implements Optimizer {
  /**
   * What happens to a parameter that got no gradient in a step: an expert no token was sent to.
   * Visible only in such steps, and only through its momentum, step count and decay.
   */
  public enum Untouched {
    /** Its gradient counts as 0, so momentum still moves it: DeepSpeed ZeRO, the published runs. */
    ZERO_GRADIENT,
    /** It is left alone, its step count too: plain torch, where its grad is None. */
    SKIP
  }

  private final Backend backend;
  private final ParameterLayout layout;
  private final UpdateRule rule;
  private final Untouched untouched;
  private final RoleRates rates;
  private final Arena arena;
  private final GradientSums gradients;
  private final Array masters;
  private final RuleState state;
  private final long[] steps;

  /** Takes its masters from the parameters as they are now. All learn alike. */
  @MustBeClosed
  public ReplicatedOptimizer(
      Backend backend, ParameterLayout layout, UpdateRule rule, Untouched untouched) {
    this(backend, layout, rule, untouched, RoleRates.ALIKE);
  }

  /** As above. */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // the arena is closed with this
  public ReplicatedOptimizer(
      Backend backend,
      ParameterLayout layout,
      UpdateRule rule,
      Untouched untouched,
      RoleRates rates) {
    this.backend = backend;
    this.layout = layout;
    this.rule = rule;
    this.untouched = untouched;
    this.rates = rates;
    this.steps = new long[layout.slices().size()];
    this.arena = backend.arena("optimizer");
    this.gradients = new GradientSums(backend, arena, layout);
    this.masters = zeros();
    this.state = new RuleState(backend, arena, layout, Holding.whole(layout), rule);
    for (Slice slice : layout.slices()) {
      backend.copyInto(slice.of(masters), flat(slice.parameter()));
    }
  }

  private Array zeros() {
    Array buffer = arena.allocate(layout.wide(), layout.length());
    backend.fillInto(buffer, 0);
    return buffer;
  }

  private static Array flat(Parameter parameter) {
    return parameter.data().reshape(parameter.data().size());
  }

  @Override
  public GradientSink gradients(boolean last) {
    return gradients;
  }

  @Override
  public Update step(double learningRate, double maxNorm) {
    double norm = Math.sqrt(gradients.sumOfSquares());
    double scale = Optimizer.clipScale(norm, maxNorm);
    int updated = 0;
    if (Double.isFinite(norm)) {
      for (Slice slice : layout.slices()) {
        if (untouched == Untouched.ZERO_GRADIENT || gradients.touched(slice)) {
          update(slice, learningRate, scale);
          updated++;
        }
      }
    }
    gradients.clear();
    return new Update(norm, scale, updated);
  }

  private void update(Slice slice, double learningRate, double scale) {
    int step = Math.toIntExact(++steps[slice.index()]);
    Parameter parameter = slice.parameter();
    double rate = rates.of(parameter, learningRate);
    var how = new UpdateRule.Step(step, rate, scale, slice.decays());
    var target =
        new UpdateRule.Target(
            parameter, slice.of(masters), gradients.of(slice), state.of(whole(slice)));
    if (rule.sums() == 0) {
      rule.update(backend, flat(parameter), target, null, how);
    } else {
      try (Arena scratch = backend.arena("update")) {
        Array sums = rule.measure(backend, scratch, target, how);
        rule.update(backend, flat(parameter), target, sums, how);
      }
    }
    parameter.updated();
  }

  private static Part whole(Slice slice) {
    return new Part(slice, slice.from(), slice.to());
  }

  private void publish(Slice slice) {
    backend.copyInto(flat(slice.parameter()), slice.of(masters));
    slice.parameter().updated();
  }

  @Override
  public void discard() {
    gradients.clear();
  }

  @Override
  public void save(StateWriter to) {
    to.numbers("step", steps.clone());
    layout.slices().forEach(slice -> pieces(slice, to::piece));
  }

  private void pieces(Slice slice, RuleState.Place at) {
    Array master = slice.of(masters);
    at.piece("master." + slice.parameter().name(), master.size(), 0, master);
    state.pieces(whole(slice), at);
  }

  @Override
  public void load(StateReader from) {
    long[] saved = from.numbers("step", steps.length);
    System.arraycopy(saved, 0, steps, 0, steps.length);
    for (Slice slice : layout.slices()) {
      pieces(slice, from::piece);
      publish(slice);
    }
    gradients.clear();
  }

  @Override
  public void close() {
    arena.close();
  }
}
