package io.moextend.vision;

import io.moextend.autograd.Module;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.AttentionKernels.Attention;
import io.moextend.config.TowerConfig;
import io.moextend.nn.ParameterFactory;
import io.moextend.nn.ParameterFactory.Init;
import io.moextend.op.Add;
import io.moextend.op.Attend;
import io.moextend.op.Columns;
import io.moextend.op.Project;
import io.moextend.op.Reshape;
import io.moextend.op.Rows;
import io.moextend.op.Weight;
import java.util.List;
import java.util.function.Consumer;

/**
 * SigLIP's pooling: a learned query attends to an image's patches; then a feed-forward network. The
 * three projections are one published matrix, so q is cut from the probe's product with it, k and v
 * from the patches'.
 */
final class ProbeHead implements Module, AutoCloseable {
  private final TowerConfig config;
  private final Parameter probe;
  private final Weight in;
  private final Weight out;
  private final Norm norm;
  private final FeedForward mlp;

  ProbeHead(ParameterFactory from, String prefix, TowerConfig config) {
    Role role = Role.VISION_TOWER;
    int width = config.hidden();
    this.config = config;
    this.probe = from.weight(prefix + "probe", role, 1, 1, width);
    this.in =
        new Weight(
            from.backend(),
            List.of(from.weight(prefix + "attention.in_proj_weight", role, 3L * width, width)),
            List.of(
                from.parameter(prefix + "attention.in_proj_bias", role, Init.ZEROS, 3L * width)));
    this.out = Layers.linear(from, role, prefix + "attention.out_proj", width, width);
    this.norm = Norm.of(from, role, prefix + "layernorm", width, config.normEps());
    this.mlp = new FeedForward(from, prefix + "mlp", config);
  }

  /**
   * @param x [N·rows, hidden]; @return [N, hidden]
   */
  Tensor forward(Tape tape, Tensor x, int rows) {
    int width = config.hidden();
    int images = Math.toIntExact(x.data().dim(0) / rows);
    Tensor query = Reshape.apply(tape, probe, 1, width);
    Tensor probes =
        Rows.gather(tape, query, tape.backend().ints(tape.arena(), new int[images], images));
    Tensor q = Columns.take(tape, Project.apply(tape, probes, in), 0, width);
    Tensor stacked = Project.apply(tape, x, in);
    Tensor k = Columns.take(tape, stacked, width, 2L * width);
    Tensor v = Columns.take(tape, stacked, 2L * width, 3L * width);
    Attention shape = Encoder.attention(config, images, 1, rows);
    Tensor h = Project.apply(tape, Attend.apply(tape, shape, q, k, v, null, null), out);
    return Add.apply(tape, h, mlp.forward(tape, norm.apply(tape, h)));
  }

  @Override
  public void visit(Consumer<Parameter> visitor) {
    visitor.accept(probe);
    Layers.visit(in, visitor);
    Layers.visit(out, visitor);
    norm.visit(visitor);
    mlp.visit(visitor);
  }

  @Override
  public void close() {
    in.close();
    out.close();
    mlp.close();
  }
}
