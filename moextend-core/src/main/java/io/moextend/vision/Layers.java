package io.moextend.vision;

import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.nn.ParameterFactory;
import io.moextend.nn.ParameterFactory.Init;
import io.moextend.op.Weight;
import java.util.List;
import java.util.function.Consumer;

/** Linear layers by their published names. */
final class Layers {
  private Layers() {}

  /** One layer with a bias, {@code name.weight} and {@code name.bias}. */
  static Weight linear(ParameterFactory from, Role role, String name, int out, int in) {
    return stacked(from, role, List.of(name), out, in, true);
  }

  /** Several of one shape, as one product. */
  static Weight stacked(
      ParameterFactory from, Role role, List<String> names, int out, int in, boolean biased) {
    List<Parameter> parts =
        names.stream().map(name -> from.weight(name + ".weight", role, out, in)).toList();
    List<Parameter> biases =
        names.stream()
            .filter(name -> biased)
            .map(name -> from.parameter(name + ".bias", role, Init.ZEROS, out))
            .toList();
    return new Weight(from.backend(), parts, biases);
  }

  static void visit(Weight weight, Consumer<Parameter> visitor) {
    weight.parts().forEach(visitor);
    weight.biases().forEach(visitor);
  }
}
