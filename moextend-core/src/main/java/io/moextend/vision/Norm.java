package io.moextend.vision;

import io.moextend.autograd.Module;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.nn.ParameterFactory;
import io.moextend.nn.ParameterFactory.Init;
import io.moextend.op.LayerNorm;
import java.util.function.Consumer;

/** Scale and shift of a layer norm, [width] each. */
record Norm(Parameter weight, Parameter bias, double eps) implements Module {
  static Norm of(ParameterFactory from, Role role, String name, int width, double eps) {
    return new Norm(
        from.parameter(name + ".weight", role, Init.ONES, width),
        from.parameter(name + ".bias", role, Init.ZEROS, width),
        eps);
  }

  Tensor apply(Tape tape, Tensor x) {
    return LayerNorm.apply(tape, x, weight, bias, eps);
  }

  @Override
  public void visit(Consumer<Parameter> visitor) {
    visitor.accept(weight);
    visitor.accept(bias);
  }
}
