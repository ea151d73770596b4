package io.moextend.vision;

import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Activation;
import io.moextend.config.ProjectorType;
import io.moextend.nn.ParameterFactory;
import io.moextend.op.Activate;
import io.moextend.op.Project;
import io.moextend.op.Weight;
import java.util.function.Consumer;

/**
 * Two layers, then two inverted residual blocks of MobileNetV3, the second of which leaves each
 * second line and column: "ldp".
 *
 * @see <a href="https://arxiv.org/abs/2312.16886">MobileVLM</a>, section 3.4
 */
final class LdpProjector implements Projector {
  private static final int HALVING = 2;

  private final ProjectorType.Ldp type;
  private final int features;
  private final Weight first;
  private final Weight second;
  private final InvertedResidual whole;
  private final InvertedResidual halving;

  LdpProjector(
      ParameterFactory from, String prefix, ProjectorType.Ldp type, int features, int hidden) {
    this.type = type;
    this.features = features;
    this.first = Layers.linear(from, Role.PROJECTOR, prefix + ".model.mlp.1", hidden, features);
    this.second = Layers.linear(from, Role.PROJECTOR, prefix + ".model.mlp.3", hidden, hidden);
    this.whole = new InvertedResidual(from, prefix + ".model.mb_block.1.block", hidden, 1);
    this.halving = new InvertedResidual(from, prefix + ".model.mb_block.2.block", hidden, HALVING);
  }

  @Override
  public Tensor forward(Tape tape, Tensor x, int patches) {
    x.data().require("image features", -1, features);
    int side = type.side(patches);
    int images = Math.toIntExact(x.data().dim(0) / patches);
    Tensor inner = Activate.apply(tape, Activation.GELU, Project.apply(tape, x, first));
    Tensor h = Project.apply(tape, inner, second);
    return halving.forward(tape, whole.forward(tape, h, images, side), images, side);
  }

  @Override
  public void visit(Consumer<Parameter> visitor) {
    Layers.visit(first, visitor);
    Layers.visit(second, visitor);
    whole.visit(visitor);
    halving.visit(visitor);
  }

  @Override
  public void close() {
    first.close();
    second.close();
    whole.close();
    halving.close();
  }
}
