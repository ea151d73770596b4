package io.moextend.vision;

import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.config.ProjectorType;
import io.moextend.nn.ParameterFactory;
import io.moextend.op.MixRows;
import io.moextend.op.Project;
import io.moextend.op.Weight;
import java.util.List;
import java.util.function.Consumer;

/**
 * Linear layers around the mean of each two by two patches: "spp_v1" to "spp_v3". All three layers
 * are there in each version, as in published checkpoints; the first is used by the last alone.
 */
final class PooledProjector implements Projector {
  private final ProjectorType.Pooled type;
  private final Weight first;
  private final Weight second;
  private final Weight third;
  private final int features;

  PooledProjector(
      ParameterFactory from, String prefix, ProjectorType.Pooled type, int features, int hidden) {
    Role role = Role.PROJECTOR;
    this.type = type;
    this.features = features;
    this.first = Layers.linear(from, role, prefix + ".linear_0", features, features);
    this.second = Layers.linear(from, role, prefix + ".linear_1", hidden, features);
    this.third = Layers.linear(from, role, prefix + ".linear_2", hidden, hidden);
  }

  @Override
  public Tensor forward(Tape tape, Tensor x, int patches) {
    x.data().require("image features", -1, features);
    return switch (type.where()) {
      case BETWEEN -> {
        Tensor small = pooled(tape, Project.apply(tape, x, second), patches);
        yield Project.apply(tape, small, third);
      }
      case AFTER -> {
        Tensor h = Project.apply(tape, Project.apply(tape, x, second), third);
        yield pooled(tape, h, patches);
      }
      case FIRST -> {
        Tensor small = pooled(tape, Project.apply(tape, x, first), patches);
        yield Project.apply(tape, Project.apply(tape, small, second), third);
      }
    };
  }

  private Tensor pooled(Tape tape, Tensor x, int patches) {
    int images = Math.toIntExact(x.data().dim(0) / patches);
    return MixRows.apply(tape, x, Grids.halved(type.side(patches)).repeated(images));
  }

  @Override
  public void visit(Consumer<Parameter> visitor) {
    for (Weight layer : List.of(first, second, third)) {
      Layers.visit(layer, visitor);
    }
  }

  @Override
  public void close() {
    first.close();
    second.close();
    third.close();
  }
}
