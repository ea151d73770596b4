package io.moextend.vision;

import io.moextend.autograd.Module;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.AttentionKernels.Attention;
import io.moextend.config.TowerConfig;
import io.moextend.nn.Lookup;
import io.moextend.nn.ParameterFactory;
import io.moextend.nn.ParameterFactory.Init;
import io.moextend.nn.SelfAttention;
import io.moextend.op.Activate;
import io.moextend.op.Add;
import io.moextend.op.LayerNorm;
import io.moextend.op.Project;
import io.moextend.op.Weight;
import java.util.List;
import java.util.function.Consumer;

/** x + attention(norm x), then + fc2(act(fc1(norm))): one layer of a CLIP tower. */
final class ClipLayer implements Module, AutoCloseable {
  private final TowerConfig config;
  private final Norm norm1;
  private final Norm norm2;
  private final SelfAttention attention;
  private final Weight fc1;
  private final Weight fc2;

  /** Scale and shift of a layer norm. */
  record Norm(Parameter weight, Parameter bias) {
    static Norm of(ParameterFactory from, String name, int width) {
      return new Norm(
          from.parameter(name + ".weight", Role.VISION_TOWER, Init.ONES, width),
          from.parameter(name + ".bias", Role.VISION_TOWER, Init.ZEROS, width));
    }

    Tensor apply(Tape tape, Tensor x, double eps) {
      return LayerNorm.apply(tape, x, weight, bias, eps);
    }

    void visit(Consumer<Parameter> visitor) {
      visitor.accept(weight);
      visitor.accept(bias);
    }
  }

  ClipLayer(ParameterFactory from, String prefix, TowerConfig config) {
    int width = config.hidden();
    this.config = config;
    this.norm1 = Norm.of(from, prefix + ".layer_norm1", width);
    this.norm2 = Norm.of(from, prefix + ".layer_norm2", width);
    this.attention =
        new SelfAttention(
            linear(
                from,
                width,
                width,
                prefix + ".self_attn.q_proj",
                prefix + ".self_attn.k_proj",
                prefix + ".self_attn.v_proj"),
            linear(from, width, width, prefix + ".self_attn.out_proj"));
    this.fc1 = linear(from, config.intermediate(), width, prefix + ".mlp.fc1");
    this.fc2 = linear(from, width, config.intermediate(), prefix + ".mlp.fc2");
  }

  private static Weight linear(ParameterFactory from, int out, int in, String... names) {
    List<String> parts = List.of(names);
    return new Weight(
        from.backend(),
        parts.stream().map(n -> from.weight(n + ".weight", Role.VISION_TOWER, out, in)).toList(),
        parts.stream()
            .map(n -> from.parameter(n + ".bias", Role.VISION_TOWER, Init.ZEROS, out))
            .toList());
  }

  Tensor forward(Tape tape, Tensor x, Attention shape) {
    Tensor h = norm1.apply(tape, x, config.normEps());
    h = Add.apply(tape, x, attention.forward(tape, h, shape, null, Lookup.within(shape, null)));
    Tensor inner = Project.apply(tape, norm2.apply(tape, h, config.normEps()), fc1);
    return Add.apply(
        tape, h, Project.apply(tape, Activate.apply(tape, config.activation(), inner), fc2));
  }

  @Override
  public void visit(Consumer<Parameter> visitor) {
    norm1.visit(visitor);
    attention.visit(visitor);
    norm2.visit(visitor);
    for (Weight w : List.of(fc1, fc2)) {
      w.parts().forEach(visitor);
      w.biases().forEach(visitor);
    }
  }

  @Override
  public void close() {
    attention.close();
    fc1.close();
    fc2.close();
  }
}
