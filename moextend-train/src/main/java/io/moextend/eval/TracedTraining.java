package io.moextend.eval;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.autograd.GradientSink;
import io.moextend.autograd.Module;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Backend;
import io.moextend.optim.AdamW;
import io.moextend.shard.GradientSums;
import io.moextend.shard.Optimizer;
import io.moextend.shard.ParameterLayout;
import io.moextend.shard.ReplicatedOptimizer;
import java.util.List;

/** The gradients of a traced loss, and the weights some optimizer steps later. */
record TracedTraining(Backend backend, Module model, TracedLoss loss, TraceOutput out) {

  /** The loss on a tape; {@code step} counts from 0, and is the number of updates made before. */
  @FunctionalInterface
  interface TracedLoss {
    Tensor of(Tape tape, Arena arena, int step);
  }

  private List<Parameter> trained() {
    return model.parameters().stream().filter(Parameter::requiresGrad).toList();
  }

  void run(TraceRequest request) {
    if (request.gradients()) {
      gradients("grad.");
    }
    if (request.adamSteps() > 0) {
      steps(request);
    }
  }

  /**
   * @param prefix of the tensors' names
   */
  void gradients(String prefix) {
    try (Arena arena = backend.arena("gradients")) {
      ParameterLayout layout = ParameterLayout.of(trained(), 1);
      var sink = new GradientSums(backend, arena, layout);
      backpropagate(sink, 0);
      for (ParameterLayout.Slice slice : layout.slices()) {
        Parameter parameter = slice.parameter();
        out.putStored(prefix + parameter.name(), sink.of(slice), parameter.shape());
      }
    }
  }

  void steps(TraceRequest request) {
    var rule = new AdamW(0.9, 0.999, 1e-8, request.weightDecay());
    try (Optimizer optimizer =
        new ReplicatedOptimizer(
            backend,
            ParameterLayout.of(trained(), 1),
            rule,
            ReplicatedOptimizer.Untouched.ZERO_GRADIENT)) {
      for (int step = 0; step < request.adamSteps(); step++) {
        backpropagate(optimizer.gradients(true), step);
        optimizer.step(request.learningRate(), request.maxGradNorm());
      }
    }
    for (Parameter parameter : trained()) {
      out.putStored("after." + parameter.name(), parameter.data(), parameter.shape());
    }
    try (Arena arena = backend.arena("loss after")) {
      out.put("loss_after", loss.of(Tape.off(backend, arena), arena, request.adamSteps()).data());
    }
  }

  private void backpropagate(GradientSink sink, int step) {
    try (Arena arena = backend.arena("step")) {
      Tape tape = Tape.recording(backend, arena, sink);
      Tensor total = loss.of(tape, arena, step);
      Array one = arena.allocate(total.data().dtype(), 1);
      backend.fillInto(one, 1);
      tape.backward(total, one);
    }
  }
}
