package io.moextend.shard;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.backend.Backend;
import io.moextend.optim.UpdateRule;
import io.moextend.shard.Holding.Part;
import io.moextend.shard.ParameterLayout.Bucket;
import io.moextend.shard.ParameterLayout.Slice;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Makes new masters of what one rank holds.
 *
 * @param steps how often each parameter was updated, by slice
 */
record HeldUpdates(
    Backend backend,
    ParameterLayout layout,
    UpdateRule rule,
    RoleRates rates,
    Holding held,
    Array masters,
    RuleState state,
    GradientExchange gradients,
    long[] steps) {

  /**
   * What a step is made with.
   *
   * @param scale what gradients are multiplied by
   */
  record Pace(Verdict verdict, double learningRate, double scale) {}

  /**
   * This rank's share of what the rule has to know of whole parameters; all of it where they are
   * held whole.
   *
   * @return null where there is nothing to know
   */
  @Nullable ParameterSums measure(Arena to, Pace pace) {
    if (rule.sums() == 0) {
      return null;
    }
    var sums = new ParameterSums(backend, to, layout, rule.sums());
    for (Bucket bucket : layout.buckets()) {
      each(
          bucket,
          pace,
          part ->
              sums.put(part.slice(), rule.measure(backend, to, target(part), step(part, pace))));
    }
    return sums;
  }

  void update(Bucket bucket, Pace pace, @Nullable ParameterSums sums) {
    each(
        bucket,
        pace,
        part -> {
          Array own = sums == null ? null : sums.of(part.slice());
          rule.update(backend, target(part), own, step(part, pace));
        });
  }

  private void each(Bucket bucket, Pace pace, Consumer<Part> task) {
    for (Part part : held.parts(bucket)) {
      if (pace.verdict().updates(part.slice())) {
        task.accept(part);
      }
    }
  }

  private UpdateRule.Target target(Part part) {
    Array gradient = gradients.sum(layout.bucket(part.slice()), part.range());
    Array master = held.of(masters, part, layout);
    return new UpdateRule.Target(part.slice().parameter(), master, gradient, state.of(part));
  }

  private UpdateRule.Step step(Part part, Pace pace) {
    Slice slice = part.slice();
    double rate = rates.of(slice.parameter(), pace.learningRate());
    int step = Math.toIntExact(steps[slice.index()]);
    return new UpdateRule.Step(step, rate, pace.scale(), slice.decays());
  }
}
