package io.moextend.vision;

import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.config.ProjectorType;
import io.moextend.config.ProjectorType.Order;
import io.moextend.nn.ParameterFactory;
import io.moextend.op.Project;
import io.moextend.op.Reshape;
import io.moextend.op.Rows;
import io.moextend.op.Weight;
import java.util.function.Consumer;
import java.util.stream.IntStream;

/** Four patches in a row side by side, then one layer: "minigpt"; "vanilla" interleaves them. */
final class GroupedProjector implements Projector {
  private static final int GROUP = ProjectorType.GROUP;

  private final ProjectorType.Grouped type;
  private final int features;
  private final Weight layer;

  GroupedProjector(
      ParameterFactory from, String prefix, ProjectorType.Grouped type, int features, int hidden) {
    this.type = type;
    this.features = features;
    this.layer =
        Layers.linear(
            from, Role.PROJECTOR, prefix + ".linear", hidden, Math.multiplyExact(GROUP, features));
  }

  @Override
  public Tensor forward(Tape tape, Tensor x, int patches) {
    x.data().require("image features", -1, features);
    long groups = x.data().dim(0) / patches * type.tokens(patches);
    Tensor rows = type.order() == Order.JOINED ? x : interleaved(tape, x);
    Tensor joined = Reshape.apply(tape, rows, groups, (long) GROUP * features);
    return Project.apply(tape, joined, layer);
  }

  /** Number c of patch t comes to place 4c + t of its group. */
  private Tensor interleaved(Tape tape, Tensor x) {
    int size = Math.toIntExact(x.data().size());
    int group = GROUP * features;
    int[] order =
        IntStream.range(0, size)
            .map(i -> i / group * group + i % GROUP * features + i % group / GROUP)
            .toArray();
    Tensor numbers = Reshape.apply(tape, x, size, 1);
    return Rows.gather(tape, numbers, tape.backend().ints(tape.arena(), order, size));
  }

  @Override
  public void visit(Consumer<Parameter> visitor) {
    Layers.visit(layer, visitor);
  }

  @Override
  public void close() {
    layer.close();
  }
}
