package io.moextend.vision;

import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Activation;
import io.moextend.nn.ParameterFactory;
import io.moextend.op.Activate;
import io.moextend.op.Project;
import io.moextend.op.Weight;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/** Linear layers with GELU between them: "linear" (one, without a number), "mlp2x_gelu". */
final class Perceptron implements Projector {
  private final int features;
  private final List<Weight> layers;

  private Perceptron(int features, List<Weight> layers) {
    this.features = features;
    this.layers = List.copyOf(layers);
  }

  static Perceptron linear(ParameterFactory from, String prefix, int features, int hidden) {
    return new Perceptron(
        features, List.of(Layers.linear(from, Role.PROJECTOR, prefix, hidden, features)));
  }

  /** Layers are numbered by twos, as the activations between them have numbers too. */
  static Perceptron of(ParameterFactory from, String prefix, int count, int features, int hidden) {
    var layers = new ArrayList<Weight>();
    for (int i = 0; i < count; i++) {
      String name = prefix + "." + 2 * i;
      layers.add(Layers.linear(from, Role.PROJECTOR, name, hidden, i == 0 ? features : hidden));
    }
    return new Perceptron(features, layers);
  }

  @Override
  public Tensor forward(Tape tape, Tensor x, int patches) {
    x.data().require("image features", -1, features);
    Tensor h = Project.apply(tape, x, layers.getFirst());
    for (Weight layer : layers.subList(1, layers.size())) {
      h = Project.apply(tape, Activate.apply(tape, Activation.GELU, h), layer);
    }
    return h;
  }

  @Override
  public void visit(Consumer<Parameter> visitor) {
    layers.forEach(layer -> Layers.visit(layer, visitor));
  }

  @Override
  public void close() {
    layers.forEach(Weight::close);
  }
}
