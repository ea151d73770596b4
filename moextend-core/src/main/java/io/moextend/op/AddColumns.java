package io.moextend.op;

import io.moextend.array.Array;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Adds to some columns of a product: to q and v alone where q, k and v are one. */
public final class AddColumns {
  private AddColumns() {}

  /**
   * @param from the first column it is added to
   * @param delta [R, W]
   */
  public record Addend(long from, Tensor delta) {}

  /**
   * Adds where the columns are: without a copy of y.
   *
   * @param y [R, N], an op's result that nobody else reads, neither now nor in a backward; it is
   *     overwritten
   * @param addends of any columns, one after the other
   * @return as y
   */
  public static Tensor into(Tape tape, Tensor y, List<Addend> addends) {
    var inputs = new ArrayList<Tensor>();
    inputs.add(y);
    for (Addend addend : addends) {
      tape.backend().addColumnsInto(y.data(), addend.from, addend.delta.data());
      inputs.add(addend.delta);
    }
    if (addends.isEmpty()) {
      return y;
    }
    return tape.record(
        "addColumns", y.data(), inputs, List.of(), d -> backward(tape, y, addends, d));
  }

  private static List<@Nullable Array> backward(
      Tape tape, Tensor y, List<Addend> addends, Array d) {
    var gradients = new ArrayList<@Nullable Array>();
    gradients.add(y.requiresGrad() ? d : null);
    for (Addend addend : addends) {
      Tensor delta = addend.delta;
      long from = addend.from;
      gradients.add(
          delta.requiresGrad() ? Columns.array(tape, d, from, from + delta.data().dim(1)) : null);
    }
    return gradients;
  }
}
