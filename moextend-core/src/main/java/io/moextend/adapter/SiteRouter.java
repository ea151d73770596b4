package io.moextend.adapter;

import io.moextend.autograd.Parameter;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.nn.SitePass;
import io.moextend.op.Jitter;
import io.moextend.op.Project;
import io.moextend.op.Route;
import io.moextend.op.Weight;

/**
 * p = softmax(x W) over experts, wide whatever x is, and of it the k largest, which are not divided
 * by their sum.
 *
 * @param kernel [E, in]
 */
record SiteRouter(String module, Weight kernel, AdapterConfig config) {
  /**
   * @param x [R, in]; @return [R, E] wide
   */
  Tensor shares(Tape tape, Tensor x, SitePass pass) {
    Tensor logits = Project.apply(tape, noisy(tape, x, pass), kernel, x.data().dtype().wide());
    pass.routed().accept(module, logits);
    Tensor p = Route.probabilities(tape, logits);
    boolean all = config.topK() == 0 || config.topK() == config.experts();
    Tensor kept = all ? p : Route.largest(tape, p, config.topK());
    pass.watch().accept("router." + module, kept.data());
    return kept;
  }

  private Tensor noisy(Tape tape, Tensor x, SitePass pass) {
    Long noise = pass.noise();
    return config.jitter() == 0 || noise == null
        ? x
        : Jitter.apply(tape, x, config.jitter(), 31 * noise + module.hashCode());
  }

  Parameter parameter() {
    return kernel.parts().getFirst();
  }
}
