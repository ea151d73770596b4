package io.moextend.eval;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Backend;
import io.moextend.checkpoint.TensorData;
import io.moextend.checkpoint.WeightSource;
import io.moextend.op.Add;
import io.moextend.vision.Tower;
import java.util.List;

/**
 * Given pixels through a vision tower alone. The loss, so that every weight gets a gradient, is Σ
 * last_hidden_state · loss_weight + Σ pooler_output · pool_weight, both weights being given with
 * the pixels.
 */
public final class TowerTrace {
  private final Backend backend;
  private final Tower tower;
  private final DType dtype;
  private final WeightSource inputs;
  private final TraceOutput out;

  private TowerTrace(Backend backend, Tower tower, DType dtype, WeightSource inputs) {
    this.backend = backend;
    this.tower = tower;
    this.dtype = dtype;
    this.inputs = inputs;
    this.out = new TraceOutput(backend);
  }

  /**
   * @param inputs pixel_values [N, C, S, S], and for a loss loss_weight and pool_weight
   */
  public static List<TensorData> run(
      Backend backend, Tower tower, DType dtype, WeightSource inputs, TraceRequest request) {
    var trace = new TowerTrace(backend, tower, dtype, inputs);
    trace.forward();
    new TracedTraining(
            backend,
            tower,
            (tape, arena, step) -> trace.loss(tape, arena, trace.states(tape, arena)),
            trace.out)
        .run(request);
    return trace.out.tensors();
  }

  private record States(List<Tensor> hidden, Tensor last, Tensor pooled) {}

  private States states(Tape tape, Arena arena) {
    TensorData pixels = inputs.tensor("pixel_values");
    Array on = backend.floats(arena, dtype, pixels.floats(), pixels.shape());
    List<Tensor> hidden = tower.hiddenStates(tape, on, tower.config().layers());
    Tensor state = hidden.getLast();
    return new States(hidden, tower.last(tape, state), tower.pooled(tape, state));
  }

  private void forward() {
    try (Arena arena = backend.arena("trace")) {
      States states = states(Tape.off(backend, arena), arena);
      long rows = tower.config().rows();
      for (int i = 0; i < states.hidden().size(); i++) {
        putState("hidden_states." + i, states.hidden().get(i).data(), rows);
      }
      putState("last_hidden_state", states.last().data(), rows);
      out.put("pooler_output", states.pooled().data(), states.pooled().data().shape());
      if (inputs.names().contains("loss_weight")) {
        out.put("loss", loss(Tape.off(backend, arena), arena, states).data());
      }
    }
  }

  private void putState(String name, Array state, long rows) {
    out.put(name, state, state.dim(0) / rows, rows, state.dim(1));
  }

  private Tensor loss(Tape tape, Arena arena, States states) {
    Tensor last = weightedSum(tape, arena, states.last(), inputs.tensor("loss_weight"));
    Tensor pooled = weightedSum(tape, arena, states.pooled(), inputs.tensor("pool_weight"));
    return Add.apply(tape, last, pooled);
  }

  /** Σ x · w as a product of one row with one column; the gradient is w itself. */
  private Tensor weightedSum(Tape tape, Arena arena, Tensor x, TensorData weight) {
    float[] w = weight.floats();
    Array weights = backend.floats(arena, dtype, w, x.data().shape());
    float[] values = backend.toFloats(arena, x.data());
    double sum = 0;
    for (int i = 0; i < w.length; i++) {
      sum += (double) values[i] * w[i];
    }
    Array total = backend.doubles(arena, dtype.wide(), new double[] {sum}, 1);
    return tape.record("weightedSum", total, List.of(x), List.of(weights), d -> List.of(weights));
  }
}
