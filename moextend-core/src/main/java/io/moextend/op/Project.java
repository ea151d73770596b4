package io.moextend.op;

import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Backend;
import io.moextend.backend.MatrixKernels;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * y = x Wᵀ + b. x [R, in], W [out, in], y [R, out]. dX = dY W; dW = dYᵀ X; db = sum over rows of
 * dY.
 */
public final class Project {
  private Project() {}

  public static Tensor apply(Tape tape, Tensor x, Weight w) {
    return apply(tape, x, w, x.data().dtype());
  }

  /**
   * What an adapter adds to columns of a product: h B.
   *
   * @param from the first of the columns
   * @param h [R, rank]
   * @param b [rank, columns], without biases
   */
  public record Addend(long from, Tensor h, Weight b) {}

  /**
   * x Wᵀ + b and, in the same kernel, what is added to some of its columns.
   *
   * @return [R, out] of x's type
   */
  public static Tensor with(Tape tape, Tensor x, Weight w, List<Addend> addends) {
    if (addends.isEmpty()) {
      return apply(tape, x, w);
    }
    var added = new ArrayList<MatrixKernels.Addend>();
    var inputs = new ArrayList<Tensor>(List.of(x));
    inputs.addAll(w.parts());
    inputs.addAll(w.biases());
    var saved = new ArrayList<Array>(w.trains() ? List.of(x.data()) : List.of());
    for (Addend a : addends) {
      added.add(new MatrixKernels.Addend(a.from, a.h.data(), a.b.matrix()));
      inputs.add(a.h);
      inputs.addAll(a.b.parts());
      if (a.b.trains()) {
        saved.add(a.h.data());
      }
    }
    Array y = tape.backend().productWith(tape.arena(), x.data(), w.matrix(), w.bias(), added);
    return tape.record("projectWith", y, inputs, saved, dY -> backward(tape, x, w, addends, dY));
  }

  private static List<@Nullable Array> backward(
      Tape tape, Tensor x, Weight w, List<Addend> addends, Array dY) {
    var gradients = new ArrayList<@Nullable Array>();
    for (Addend a : addends) {
      Array d = Columns.array(tape, dY, a.from, a.from + a.b.matrix().in());
      gradients.addAll(transposedBackward(tape, a.h, a.b, d));
    }
    gradients.addAll(0, backward(tape, x, w, dY));
    return gradients;
  }

  /**
   * @param result the type of y: x's own or its wide type
   */
  public static Tensor apply(Tape tape, Tensor x, Weight w, DType result) {
    Array y = tape.backend().product(tape.arena(), x.data(), w.matrix(), w.bias(), result);
    var inputs = new ArrayList<Tensor>();
    inputs.add(x);
    inputs.addAll(w.parts());
    inputs.addAll(w.biases());
    List<Array> saved = w.trains() ? List.of(x.data()) : List.of();
    return tape.record("project", y, inputs, saved, dY -> backward(tape, x, w, dY));
  }

  private static List<@Nullable Array> backward(Tape tape, Tensor x, Weight w, Array dY) {
    Backend backend = tape.backend();
    var gradients = new ArrayList<@Nullable Array>();
    Array narrow = w.trains() ? Cast.array(tape, dY, x.data().dtype()) : dY;
    long from = 0;
    for (Parameter part : w.parts()) {
      long until = from + w.rows(part);
      if (part.requiresGrad()) {
        tape.deliver(part, backend.weightGradient(tape.arena(), narrow, from, until, x.data()));
      }
      gradients.add(null);
      from = until;
    }
    gradients.addAll(biasGradients(tape, w, dY));
    // last, so that it is not alive beside a weight's gradient
    gradients.addFirst(outer(tape, x, w, dY));
    return gradients;
  }

  /** dX, or null where none is wanted or it is owed. */
  private static @Nullable Array outer(Tape tape, Tensor x, Weight w, Array dY) {
    if (!x.requiresGrad()) {
      return null;
    }
    if (dY.dtype() != x.data().dtype()) {
      return tape.backend().productTransposed(tape.arena(), dY, w.matrix());
    }
    tape.owe(x, dY, w.matrix());
    return null;
  }

  /**
   * y = x W, for a weight whose rows are what x's columns stand for. x [R, out], W [out, in], y [R,
   * in]. dX = dY Wᵀ; dW = xᵀ dY.
   *
   * @param w without biases
   */
  public static Tensor transposed(Tape tape, Tensor x, Weight w) {
    Array y = tape.backend().productTransposed(tape.arena(), x.data(), w.matrix());
    var inputs = new ArrayList<Tensor>();
    inputs.add(x);
    inputs.addAll(w.parts());
    List<Array> saved = w.trains() ? List.of(x.data()) : List.of();
    return tape.record(
        "projectTransposed", y, inputs, saved, dY -> transposedBackward(tape, x, w, dY));
  }

  private static List<@Nullable Array> transposedBackward(Tape tape, Tensor x, Weight w, Array dY) {
    Backend backend = tape.backend();
    var gradients = new ArrayList<@Nullable Array>();
    gradients.add(
        x.requiresGrad() ? backend.product(tape.arena(), dY, w.matrix(), null, dY.dtype()) : null);
    long from = 0;
    for (Parameter part : w.parts()) {
      long until = from + w.rows(part);
      if (part.requiresGrad()) {
        tape.deliver(part, backend.weightGradient(tape.arena(), x.data(), from, until, dY));
      }
      gradients.add(null);
      from = until;
    }
    return gradients;
  }

  private static List<@Nullable Array> biasGradients(Tape tape, Weight w, Array dY) {
    var gradients = new ArrayList<@Nullable Array>();
    boolean wanted = w.biases().stream().anyMatch(Parameter::requiresGrad);
    Array sum = wanted ? tape.backend().sumRows(tape.arena(), dY) : null;
    long from = 0;
    for (Parameter bias : w.biases()) {
      long until = from + bias.data().size();
      gradients.add(sum != null && bias.requiresGrad() ? sum.slice(from, until) : null);
      from = until;
    }
    return gradients;
  }
}
