package io.moextend.vision;

import io.moextend.autograd.Module;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Activation;
import io.moextend.nn.ParameterFactory;
import io.moextend.nn.ParameterFactory.Init;
import io.moextend.op.Activate;
import io.moextend.op.Project;
import io.moextend.op.Weight;
import java.util.List;
import java.util.function.Consumer;

/** From a tower's features to the language model's width: Linear, GELU, Linear ("mlp2x_gelu"). */
public final class Projector implements Module, AutoCloseable {
  private final Weight first;
  private final Weight second;

  /**
   * @param prefix "model.visual.mm_projector"
   */
  public Projector(ParameterFactory from, String prefix, int features, int hidden) {
    this.first = linear(from, prefix + ".0", hidden, features);
    this.second = linear(from, prefix + ".2", hidden, hidden);
  }

  private static Weight linear(ParameterFactory from, String name, int out, int in) {
    return new Weight(
        from.backend(),
        List.of(from.weight(name + ".weight", Role.PROJECTOR, out, in)),
        List.of(from.parameter(name + ".bias", Role.PROJECTOR, Init.ZEROS, out)));
  }

  /**
   * @param features [patches, features]; @return [patches, hidden]
   */
  public Tensor forward(Tape tape, Tensor features) {
    Tensor inner = Activate.apply(tape, Activation.GELU, Project.apply(tape, features, first));
    return Project.apply(tape, inner, second);
  }

  @Override
  public void visit(Consumer<Parameter> visitor) {
    for (Weight w : List.of(first, second)) {
      w.parts().forEach(visitor);
      w.biases().forEach(visitor);
    }
  }

  @Override
  public void close() {
    first.close();
    second.close();
  }
}
