package io.moextend.eval;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Backend;
import io.moextend.model.T5;
import io.moextend.optim.Adafactor;
import io.moextend.shard.Optimizer;
import io.moextend.shard.ParameterLayout;
import io.moextend.shard.ReplicatedOptimizer;
import io.moextend.shard.ReplicatedOptimizer.Untouched;
import java.util.List;

/** The weights of a T5, or of its adapters, some steps of Adafactor later. */
record T5TraceSteps(Backend backend, T5 model, BatchLoss loss, TraceOutput out) {
  /** What is trained on. */
  @FunctionalInterface
  interface BatchLoss {
    Tensor of(Tape tape, Arena arena, T5TraceBatch batch);
  }

  /**
   * @param batches which steps are made on, one after the other and again from the first
   */
  void run(List<T5TraceBatch> batches, T5TraceRequest request) {
    List<Parameter> trained = model.parameters().stream().filter(Parameter::requiresGrad).toList();
    String prefix = "step" + request.startStep() + ".";
    float[] losses = new float[request.adafactorSteps()];
    try (Optimizer optimizer =
        new ReplicatedOptimizer(
            backend,
            ParameterLayout.of(trained, 1),
            Adafactor.from(request.startStep()),
            Untouched.ZERO_GRADIENT)) {
      for (int step = 0; step < losses.length; step++) {
        losses[step] = step(optimizer, batches.get(step % batches.size()));
        optimizer.step(request.basic().learningRate(), 0);
        if (step == 0) {
          put(prefix + "param_after_1.", trained);
        }
      }
      put(prefix + "param.", trained);
      optimizer.save(new Squares(prefix, trained));
    }
    out.put(prefix + "losses", losses, losses.length);
    logits(prefix, batches.getFirst());
  }

  private float step(Optimizer optimizer, T5TraceBatch batch) {
    try (Arena arena = backend.arena("step")) {
      Tape tape = Tape.recording(backend, arena, optimizer.gradients(true));
      Tensor total = loss.of(tape, arena, batch);
      float value = (float) backend.toDouble(total.data());
      Array one = arena.allocate(total.data().dtype(), 1);
      backend.fillInto(one, 1);
      tape.backward(total, one);
      return value;
    }
  }

  private void put(String prefix, List<Parameter> trained) {
    for (Parameter parameter : trained) {
      out.putStored(prefix + parameter.name(), parameter.data(), parameter.shape());
    }
  }

  private void logits(String prefix, T5TraceBatch batch) {
    try (Arena arena = backend.arena("after")) {
      Tape tape = Tape.off(backend, arena);
      Tensor decoder = model.forward(tape, batch.batch(), T5.Pass.PLAIN).decoder();
      String which = batch.prefix().replace('.', '_');
      out.put(
          prefix + "logits_" + which + "after",
          model.logits(tape, decoder).data(),
          batch.batch().rows(),
          batch.batch().targetLength(),
          model.config().vocab());
    }
  }

  /** Second moments: v of the parameter's shape, or v_row and v_col. */
  private final class Squares implements Optimizer.StateWriter {
    private final String prefix;
    private final List<Parameter> trained;

    Squares(String prefix, List<Parameter> trained) {
      this.prefix = prefix;
      this.trained = trained;
    }

    @Override
    public void piece(String name, long total, long from, Array values) {
      if (name.startsWith("v_")) {
        out.put(prefix + name, values, total);
      } else if (name.startsWith("v.")) {
        Parameter parameter =
            trained.stream()
                .filter(p -> name.equals("v." + p.name()))
                .findFirst()
                .orElseThrow(() -> new IllegalStateException(name));
        out.putStored(prefix + name, values, parameter.shape());
      }
    }

    @Override
    public void numbers(String name, long[] values) {}
  }
}
