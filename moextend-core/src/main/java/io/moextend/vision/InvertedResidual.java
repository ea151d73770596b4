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
import io.moextend.op.Add;
import io.moextend.op.Columns;
import io.moextend.op.MixRows;
import io.moextend.op.Project;
import io.moextend.op.Reshape;
import io.moextend.op.ScaleColumns;
import io.moextend.op.Weight;
import java.util.List;
import java.util.function.Consumer;

/**
 * A block of MobileNetV3 over patches as rows: each channel's own 3 by 3 convolution, a norm over
 * channels, hard swish; channels weighted by what the whole image says (squeeze and excitation); a
 * layer and a norm; the input added where the size stays.
 *
 * @see <a href="https://arxiv.org/abs/1905.02244">Searching for MobileNetV3</a>; names of
 *     torchvision's InvertedResidual
 */
final class InvertedResidual implements Module, AutoCloseable {
  private static final int KERNEL = 3;
  private static final double EPS = 1e-5;

  /** The squeezed vector is a quarter as wide, in steps of this and never less than 9/10 of it. */
  private static final int STEP = 8;

  private final int width;
  private final int stride;
  private final Parameter kernel;
  private final Norm norm1;
  private final Weight squeeze;
  private final Weight excite;
  private final Weight project;
  private final Norm norm2;

  InvertedResidual(ParameterFactory from, String prefix, int width, int stride) {
    Role role = Role.PROJECTOR;
    int narrow = squeezed(width);
    this.width = width;
    this.stride = stride;
    this.kernel = from.weight(prefix + ".0.0.weight", role, width, 1, KERNEL, KERNEL);
    this.norm1 = Norm.of(from, role, prefix + ".0.1", width, EPS);
    this.squeeze = pointwise(from, prefix + ".1.fc1", narrow, width);
    this.excite = pointwise(from, prefix + ".1.fc2", width, narrow);
    this.project =
        Weight.of(from.backend(), from.weight(prefix + ".2.0.weight", role, width, width, 1, 1));
    this.norm2 = Norm.of(from, role, prefix + ".2.1", width, EPS);
  }

  private static Weight pointwise(ParameterFactory from, String name, int out, int in) {
    Role role = Role.PROJECTOR;
    return new Weight(
        from.backend(),
        List.of(from.weight(name + ".weight", role, out, in, 1, 1)),
        List.of(from.parameter(name + ".bias", role, Init.ZEROS, out)));
  }

  private static int squeezed(int width) {
    int wanted = width / 4;
    int rounded = Math.max(STEP, (wanted + STEP / 2) / STEP * STEP);
    return 10 * rounded < 9 * wanted ? rounded + STEP : rounded;
  }

  /**
   * @param x [N·side·side, width]
   * @return [N·out·out, width], out = side / stride rounded up
   */
  Tensor forward(Tape tape, Tensor x, int images, int side) {
    Tensor h = norm1.apply(tape, convolved(tape, x, images, side));
    h = Activate.apply(tape, Activation.HARD_SWISH, h);
    h = norm2.apply(tape, Project.apply(tape, excited(tape, h, images), project));
    return stride == 1 ? Add.apply(tape, h, x) : h;
  }

  /** Each neighbour times its number of each channel's kernel, one neighbour after the other. */
  private Tensor convolved(Tape tape, Tensor x, int images, int side) {
    Tensor numbers = Reshape.apply(tape, kernel, width, (long) KERNEL * KERNEL);
    Tensor sum = null;
    for (int i = 0; i < KERNEL * KERNEL; i++) {
      var places = Grids.neighbour(side, stride, i / KERNEL - 1, i % KERNEL - 1);
      Tensor scale = Reshape.apply(tape, Columns.take(tape, numbers, i, i + 1L), width);
      Tensor near = MixRows.apply(tape, x, places.repeated(images));
      Tensor part = ScaleColumns.apply(tape, near, scale);
      sum = sum == null ? part : Add.apply(tape, sum, part);
    }
    if (sum == null) {
      throw new IllegalStateException("a kernel without numbers");
    }
    return sum;
  }

  /** Channels times what the mean over the image makes of them, between 0 and 1. */
  private Tensor excited(Tape tape, Tensor x, int images) {
    int rows = Math.toIntExact(x.data().dim(0) / images);
    Tensor mean = MixRows.apply(tape, x, Grids.mean(rows).repeated(images));
    Tensor narrow = Activate.apply(tape, Activation.RELU, Project.apply(tape, mean, squeeze));
    Tensor share = Project.apply(tape, narrow, excite);
    Tensor everywhere = MixRows.apply(tape, share, Grids.spread(rows).repeated(images));
    return Activate.gated(
        tape, Activation.HARD_SIGMOID, Columns.join(tape, List.of(everywhere, x)));
  }

  @Override
  public void visit(Consumer<Parameter> visitor) {
    visitor.accept(kernel);
    norm1.visit(visitor);
    for (Weight w : List.of(squeeze, excite, project)) {
      Layers.visit(w, visitor);
    }
    norm2.visit(visitor);
  }

  @Override
  public void close() {
    squeeze.close();
    excite.close();
    project.close();
  }
}
