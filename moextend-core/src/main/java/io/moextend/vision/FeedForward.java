package io.moextend.vision;

import io.moextend.autograd.Module;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Activation;
import io.moextend.config.TowerConfig;
import io.moextend.config.TowerFamily;
import io.moextend.nn.ParameterFactory;
import io.moextend.op.Activate;
import io.moextend.op.Project;
import io.moextend.op.Weight;
import java.util.function.Consumer;

/** down(f(up x)), or where it is gated down(silu(left half of up x) · right half). */
final class FeedForward implements Module, AutoCloseable {
  private final Activation activation;
  private final boolean gated;
  private final Weight up;
  private final Weight down;

  FeedForward(ParameterFactory from, String prefix, TowerConfig config) {
    int width = config.hidden();
    int inner = config.intermediate();
    this.gated = config.family() instanceof TowerFamily.Dinov2 dino && dino.gated();
    this.activation = gated ? Activation.SILU : config.activation();
    Role role = Role.VISION_TOWER;
    this.up =
        gated
            ? Layers.linear(from, role, prefix + ".weights_in", 2 * inner, width)
            : Layers.linear(from, role, prefix + ".fc1", inner, width);
    this.down = Layers.linear(from, role, prefix + (gated ? ".weights_out" : ".fc2"), width, inner);
  }

  /** x [R, hidden], as is the result. */
  Tensor forward(Tape tape, Tensor x) {
    Tensor inner = Project.apply(tape, x, up);
    Tensor active =
        gated ? Activate.gated(tape, activation, inner) : Activate.apply(tape, activation, inner);
    return Project.apply(tape, active, down);
  }

  @Override
  public void visit(Consumer<Parameter> visitor) {
    Layers.visit(up, visitor);
    Layers.visit(down, visitor);
  }

  @Override
  public void close() {
    up.close();
    down.close();
  }
}
