package io.moextend.train;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.GradientSink;
import io.moextend.autograd.Module;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Activation;
import io.moextend.backend.Backend;
import io.moextend.op.Activate;
import io.moextend.op.CrossEntropy;
import io.moextend.op.Project;
import io.moextend.op.Weight;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Random;
import java.util.function.Consumer;

/** Rows of 8 numbers into 4 classes through two matrices: a real model, small enough to follow. */
final class TinyTask implements Objective<TinyTask.Rows>, Module, AutoCloseable {
  static final int IN = 8;
  static final int HIDDEN = 16;
  static final int CLASSES = 4;

  /**
   * @param blank true where no parameter takes part, as in a batch without images in alignment
   */
  record Rows(float[] x, int[] targets, boolean blank, List<String> samples) {}

  private final Backend backend;
  private final Arena arena;
  final Parameter hidden;
  final Parameter bias;
  final Parameter out;
  private final Weight first;
  private final Weight second;

  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // closed by close()
  TinyTask(Backend backend, long seed) {
    this.backend = backend;
    this.arena = backend.arena("model");
    var random = new Random(seed);
    hidden = fresh("hidden.weight", random, HIDDEN, IN);
    bias = fresh("hidden.bias", random, HIDDEN);
    out = fresh("out.weight", random, CLASSES, HIDDEN);
    first = new Weight(backend, List.of(hidden), List.of(bias));
    second = Weight.of(backend, out);
  }

  private Parameter fresh(String name, Random random, long... shape) {
    Array data = arena.allocate(DType.F32, shape);
    float[] values = new float[(int) data.size()];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) (0.3 * random.nextGaussian());
    }
    backend.copyIn(data, MemorySegment.ofArray(values));
    var parameter = new Parameter(name, Parameter.Role.PROJECTOR, data);
    parameter.trainable(true);
    return parameter;
  }

  @Override
  public void visit(Consumer<Parameter> visitor) {
    List.of(hidden, bias, out).forEach(visitor);
  }

  @Override
  public Losses backpropagate(GradientSink gradients, Rows batch, double scale) {
    try (Arena step = backend.arena("step")) {
      Tape tape = Tape.recording(backend, step, gradients);
      Tensor loss = forward(tape, batch);
      if (loss.requiresGrad()) {
        Array d = step.allocate(loss.data().dtype(), 1);
        backend.fillInto(d, scale);
        tape.backward(loss, d);
      }
      return losses(batch, loss);
    }
  }

  @Override
  public Losses evaluate(Rows batch) {
    try (Arena step = backend.arena("evaluation")) {
      return losses(batch, forward(Tape.off(backend, step), batch));
    }
  }

  private Tensor forward(Tape tape, Rows batch) {
    int rows = batch.targets().length;
    Array x = tape.arena().allocate(DType.F32, rows, IN);
    backend.copyIn(x, MemorySegment.ofArray(batch.x()));
    Array targets = tape.arena().allocate(DType.I32, rows);
    backend.copyIn(targets, MemorySegment.ofArray(batch.targets()));
    if (batch.blank()) {
      Array zeros = tape.arena().allocate(DType.F32, rows, CLASSES);
      backend.fillInto(zeros, 0);
      return CrossEntropy.apply(tape, Tensor.constant(zeros), targets, rows);
    }
    Tensor h = Project.apply(tape, Tensor.constant(x), first);
    Tensor logits = Project.apply(tape, Activate.apply(tape, Activation.GELU, h), second);
    return CrossEntropy.apply(tape, logits, targets, rows);
  }

  private Losses losses(Rows batch, Tensor loss) {
    float[] value = new float[1];
    backend.copyOut(loss.data(), MemorySegment.ofArray(value));
    int rows = batch.targets().length;
    return new Losses(value[0], value[0], 0, rows, rows, !batch.blank());
  }

  /** All weights, one after the other. */
  float[] weights() {
    int length = parameters().stream().mapToInt(p -> (int) p.data().size()).sum();
    float[] all = new float[length];
    int at = 0;
    for (Parameter p : parameters()) {
      float[] values = new float[(int) p.data().size()];
      backend.copyOut(p.data(), MemorySegment.ofArray(values));
      System.arraycopy(values, 0, all, at, values.length);
      at += values.length;
    }
    return all;
  }

  @Override
  public void close() {
    first.close();
    second.close();
    arena.close();
  }
}
