package io.moextend.op;

import io.moextend.array.Array;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Backend;
import io.moextend.backend.Dispatch;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Each expert's rows through that expert's matrix: y_r = x_r W_eᵀ for every row r of expert e, all
 * experts in one call.
 */
public final class GroupedProject {
  private GroupedProject() {}

  /**
   * @param x [rows, in], sorted by expert
   * @param experts one weight an expert, without biases
   * @return [rows, out]
   */
  public static Tensor apply(Tape tape, Tensor x, Dispatch dispatch, List<Weight> experts) {
    Backend backend = tape.backend();
    Array y =
        backend.groupedProduct(
            tape.arena(), x.data(), dispatch, experts.stream().map(Weight::matrix).toList());
    var inputs = new ArrayList<Tensor>();
    inputs.add(x);
    experts.forEach(w -> inputs.addAll(w.parts()));
    var saved = new ArrayList<Array>(List.of(dispatch.offsets()));
    if (experts.stream().anyMatch(Weight::trains)) {
      saved.add(x.data());
    }
    return tape.record(
        "groupedProject", y, inputs, saved, dY -> backward(tape, x, dispatch, experts, dY));
  }

  private static List<@Nullable Array> backward(
      Tape tape, Tensor x, Dispatch dispatch, List<Weight> experts, Array dY) {
    Backend backend = tape.backend();
    var gradients = new ArrayList<@Nullable Array>();
    for (int e = 0; e < experts.size(); e++) {
      long from = 0;
      for (Parameter part : experts.get(e).parts()) {
        long until = from + part.shape()[0];
        if (part.requiresGrad()) {
          tape.deliver(
              part,
              backend.groupedWeightGradient(tape.arena(), dY, from, until, x.data(), dispatch, e));
        }
        gradients.add(null);
        from = until;
      }
    }
    // last, so that it is not alive beside a weight's gradient
    gradients.addFirst(
        x.requiresGrad()
            ? backend.groupedProductTransposed(
                tape.arena(), dY, dispatch, experts.stream().map(Weight::matrix).toList())
            : null);
    return gradients;
  }
}
