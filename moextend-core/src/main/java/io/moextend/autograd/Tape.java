package io.moextend.autograd;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.ShapeException;
import io.moextend.backend.Backend;
import io.moextend.backend.Matrix;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * Records ops in the order they run and plays them backwards once. One tape per micro-batch; not
 * thread-safe.
 *
 * <p>An op none of whose inputs needs a gradient is not recorded, so frozen layers keep no
 * activations. What ops allocate belongs to the step's arena; within a {@link #scope} whatever no
 * backward will read is freed at the scope's end, and in {@link #backward} each saved array is
 * freed after its last reader.
 */
public final class Tape {
  private final Backend backend;
  private final Arena arena;
  private final GradientSink sink;
  private final boolean recording;
  private final List<Recorded.Node> nodes = new ArrayList<>();
  private final Ledger ledger;
  private final Owed owed;
  private boolean touched;

  private Tape(Backend backend, Arena arena, GradientSink sink, boolean recording) {
    this.backend = backend;
    this.arena = arena;
    this.sink = sink;
    this.recording = recording;
    this.ledger = new Ledger(arena);
    this.owed = new Owed(backend, arena, ledger);
  }

  /** A tape that delivers the gradient of every trainable parameter to {@code sink}. */
  public static Tape recording(Backend backend, Arena arena, GradientSink sink) {
    return new Tape(backend, arena, sink, true);
  }

  /** A tape that records nothing: inference, and the first pass of a checkpointed segment. */
  public static Tape off(Backend backend, Arena arena) {
    return new Tape(backend, arena, GradientSink.NONE, false);
  }

  public Backend backend() {
    return backend;
  }

  /** Where ops allocate. */
  public Arena arena() {
    return arena;
  }

  /** Ops on the tape; for tests of what frozen parts cost. */
  public int length() {
    return nodes.size();
  }

  /**
   * Puts {@code out} on the tape, or returns it as a constant where no input needs a gradient.
   *
   * @param saved the arrays that {@code backward} reads, beside parameters
   */
  public Tensor record(
      String op, Array out, List<Tensor> inputs, List<Array> saved, Backward backward) {
    return recordAll(
            op, List.of(out), inputs, saved, d -> backward.apply(Objects.requireNonNull(d[0], op)))
        .getFirst();
  }

  /** As {@link #record}, for an op with several outputs. */
  public List<Tensor> recordAll(
      String op, List<Array> outs, List<Tensor> inputs, List<Array> saved, Backward.Many backward) {
    if (inputs.stream().noneMatch(Tensor::requiresGrad)) {
      return constants(outs);
    }
    touched = true;
    if (!recording) {
      return constants(outs);
    }
    saved.forEach(ledger::hold);
    return push(new Recorded.Node(op, inputs, outs.size(), saved, backward), outs);
  }

  /**
   * Marks the place between two units of the model: when the backward pass comes back to it, {@link
   * GradientSink#reached} is told that {@code unit}, which begins here, is done.
   *
   * @param x what flows from one into the other; the same tensor goes on
   */
  public Tensor milestone(Tensor x, int unit) {
    return record(
        "milestone",
        x.data(),
        List.of(x),
        List.of(),
        d -> {
          owed.settle(); // with weights that may go with their unit
          sink.reached(unit);
          return List.of(d);
        });
  }

  /** Marks what a scope's caller will still read. */
  public static final class Scope {
    private final Set<Array> kept = Collections.newSetFromMap(new IdentityHashMap<>());

    private Scope() {}

    public <T extends Tensor> T keep(T tensor) {
      keep(tensor.data());
      return tensor;
    }

    public Array keep(Array array) {
      kept.add(array.base());
      return array;
    }
  }

  /**
   * Runs a part of the forward pass; at its end everything it allocated is freed but what it kept
   * and what a recorded backward saved.
   */
  public <R> R scope(Function<Scope, R> part) {
    var scope = new Scope();
    long mark = arena.mark();
    R result = part.apply(scope);
    ledger.adopt(arena.since(mark).stream().filter(a -> !scope.kept.contains(a)).toList());
    return result;
  }

  /**
   * A part of the model as a function of the tensors that flow into it; parameters it closes over.
   */
  @FunctionalInterface
  public interface Segment {
    List<Tensor> run(Tape tape, List<Tensor> inputs);
  }

  /**
   * Activation checkpointing: keeps only {@code inputs}; the segment is run again, on a tape of its
   * own, when the gradients of its outputs are known. Every tensor a loss will use must be among
   * the outputs (a block's hidden state and its router's probabilities). A segment in which nothing
   * needs a gradient is not run again, whatever its inputs.
   */
  public List<Tensor> checkpoint(List<Tensor> inputs, Segment segment) {
    Tape probe = off(backend, arena);
    List<Tensor> first =
        probe.scope(
            s -> {
              List<Tensor> outs = segment.run(probe, inputs);
              outs.forEach(s::keep);
              return outs;
            });
    if (probe.touched) {
      touched = true;
    }
    if (!recording || !probe.touched) {
      return first;
    }
    List<Array> saved = inputs.stream().map(Tensor::data).toList();
    saved.forEach(ledger::hold);
    var node =
        new Recorded.Node(
            "checkpoint", inputs, first.size(), saved, dOuts -> replay(inputs, segment, dOuts));
    return push(node, first.stream().map(Tensor::data).toList());
  }

  private List<@Nullable Array> replay(
      List<Tensor> inputs, Segment segment, @Nullable Array[] dOuts) {
    Tape inner = recording(backend, arena, sink);
    List<Tensor> leaves = inputs.stream().map(Tape::leaf).toList();
    // The outputs' values were handed on by the first run: nobody reads these again.
    List<Tensor> outs = inner.scope(s -> segment.run(inner, leaves));
    Map<Recorded.Node, @Nullable Array[]> left = inner.play(outs, dOuts);
    var gradients = new ArrayList<@Nullable Array>();
    for (Tensor leaf : leaves) {
      @Nullable Array[] d = leaf instanceof Recorded r ? left.get(r.node) : null;
      gradients.add(d == null ? null : d[0]);
    }
    return gradients;
  }

  /** An input of a replayed segment: collects its gradient instead of passing it on. */
  private static Tensor leaf(Tensor input) {
    if (!input.requiresGrad()) {
      return Tensor.constant(input.data());
    }
    var node =
        new Recorded.Node("input", List.of(), 1, List.of(), d -> new ArrayList<@Nullable Array>());
    return new Recorded(node, 0, input.data());
  }

  /**
   * Delivers d(loss)/d(parameter), given {@code dOut} of the shape of {@code out}; the tape is
   * empty afterwards.
   */
  public void backward(Tensor out, Array dOut) {
    if (!Arrays.equals(out.data().shape(), dOut.shape())) {
      throw new ShapeException("the gradient " + dOut + " of an output " + out.data());
    }
    play(List.of(out), new Array[] {dOut});
  }

  /**
   * Hands a parameter its gradient in the midst of a backward, which then says null for it: the
   * gradients of many weights need not be alive together.
   */
  public void deliver(Parameter parameter, Array gradient) {
    if (!sink.take(parameter, gradient, arena)) {
      sink.accept(parameter, gradient);
      arena.free(gradient);
    }
  }

  /** True in a backward that reads {@code saved} last and may write its result to its place. */
  public boolean lastReads(Array saved) {
    return ledger.isLastOf(saved);
  }

  /**
   * Owes a tensor dY W, of its type, in the midst of a backward, which then says null for it: all
   * that is owed to one tensor is made as one sum when its gradient is wanted.
   */
  public void owe(Tensor x, Array dY, Matrix w) {
    if (x instanceof Recorded recorded) {
      owed.add(recorded, dY, w);
    } else {
      deliver(x, backend.productTransposed(arena, dY, w));
    }
  }

  private Map<Recorded.Node, @Nullable Array[]> play(List<Tensor> outs, @Nullable Array[] dOuts) {
    Map<Recorded.Node, @Nullable Array[]> pending = owed.pending();
    for (int i = 0; i < dOuts.length; i++) {
      deliver(outs.get(i), dOuts[i]);
    }
    for (Recorded.Node node : nodes.reversed()) {
      owed.settle(node);
      @Nullable Array[] d = pending.remove(node);
      if (d != null) { // else none of its outputs was used
        long mark = arena.mark();
        List<? extends @Nullable Array> gradients = node.backward().apply(d);
        for (int i = 0; i < gradients.size(); i++) {
          deliver(node.inputs().get(i), gradients.get(i));
        }
        ledger.adopt(arena.since(mark));
        for (Array used : d) {
          if (used != null) {
            ledger.release(used);
          }
        }
      }
      node.saved().forEach(ledger::release);
    }
    nodes.clear();
    owed.settle();
    return pending;
  }

  private void deliver(Tensor to, @Nullable Array gradient) {
    if (gradient == null) {
      return;
    }
    switch (to) {
      case Recorded r -> owed.add(r, gradient);
      case Parameter p when p.requiresGrad() -> sink.accept(p, gradient);
      case Parameter p -> {}
      case Constant c -> {}
    }
  }

  private List<Tensor> push(Recorded.Node node, List<Array> outs) {
    nodes.add(node);
    var tensors = new ArrayList<Tensor>();
    for (int i = 0; i < outs.size(); i++) {
      Array out = outs.get(i);
      tensors.add(out.dtype().isFloating() ? new Recorded(node, i, out) : new Constant(out));
    }
    return tensors;
  }

  private static List<Tensor> constants(List<Array> outs) {
    return outs.stream().map(Tensor::constant).toList();
  }
}
