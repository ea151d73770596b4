package io.moextend.train;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.GradientSink;
import io.moextend.autograd.Parameter;
import io.moextend.backend.Backend;
import io.moextend.shard.Optimizer;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The plainest optimizer of several ranks: sends every gradient to all, adds them in the ranks'
 * order, and saves an even share of the state.
 */
final class SummedOptimizer implements Optimizer {
  private final Backend backend;
  private final Optimizer inner;
  private final Peers peers;
  private final Map<Parameter, float[]> sums = new LinkedHashMap<>();

  SummedOptimizer(Backend backend, Optimizer inner, Iterable<Parameter> trained, Peers peers) {
    this.backend = backend;
    this.inner = inner;
    this.peers = peers;
    trained.forEach(p -> sums.put(p, new float[(int) p.data().size()]));
  }

  @Override
  public GradientSink gradients(boolean last) {
    return (parameter, gradient) -> {
      try (Arena scratch = backend.arena("gradient")) {
        float[] values = backend.toFloats(scratch, gradient);
        float[] sum = sums.get(parameter);
        for (int i = 0; i < sum.length; i++) {
          sum[i] += values[i];
        }
      }
    };
  }

  @Override
  public Update step(double learningRate, double maxNorm) {
    for (var entry : sums.entrySet()) {
      float[] own = entry.getValue();
      double[] values = new double[own.length];
      for (int i = 0; i < own.length; i++) {
        values[i] = own[i];
      }
      float[] sum = new float[own.length];
      for (double[] one : peers.gather("gradient of " + entry.getKey().name(), values)) {
        for (int i = 0; i < sum.length; i++) {
          sum[i] += (float) one[i];
        }
      }
      try (Arena scratch = backend.arena("gradient")) {
        Array flat = backend.floats(scratch, DType.F32, sum, entry.getKey().data().shape());
        inner.gradients(true).accept(entry.getKey(), flat.reshape(flat.size()));
      }
    }
    discard();
    return inner.step(learningRate, maxNorm);
  }

  @Override
  public void discard() {
    sums.replaceAll((p, values) -> new float[values.length]);
  }

  @Override
  public void save(StateWriter to) {
    inner.save(
        new StateWriter() {
          @Override
          public void piece(String name, long total, long from, Array values) {
            long mine = total * peers.rank() / peers.world();
            long end = total * (peers.rank() + 1) / peers.world();
            to.piece(name, total, mine, values.slice(mine, end));
          }

          @Override
          public void numbers(String name, long[] values) {
            to.numbers(name, values);
          }
        });
  }

  @Override
  public void load(StateReader from) {
    inner.load(from);
  }

  @Override
  public void close() {
    inner.close();
  }
}
