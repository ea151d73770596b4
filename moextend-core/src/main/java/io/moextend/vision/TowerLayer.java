package io.moextend.vision;

import io.moextend.autograd.Module;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.AttentionKernels.Attention;
import io.moextend.config.TowerConfig;
import io.moextend.config.TowerFamily;
import io.moextend.nn.Lookup;
import io.moextend.nn.ParameterFactory;
import io.moextend.nn.ParameterFactory.Init;
import io.moextend.nn.SelfAttention;
import io.moextend.op.Add;
import io.moextend.op.ScaleColumns;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * x + attention(norm x), then + mlp(norm): one layer of a tower. DINOv2 scales each of the two
 * branches by learned numbers, one a column.
 */
final class TowerLayer implements Module, AutoCloseable {
  private final Norm norm1;
  private final Norm norm2;
  private final SelfAttention attention;
  private final FeedForward mlp;
  private final @Nullable Parameter scale1;
  private final @Nullable Parameter scale2;

  /** What a family calls the parts of a layer. */
  private record Names(
      String norm1, String norm2, List<String> queryKeyValue, String out, boolean queryBias) {
    static Names of(TowerFamily family, String prefix) {
      return switch (family) {
        case TowerFamily.Clip(), TowerFamily.Siglip _ ->
            new Names(
                prefix + ".layer_norm1",
                prefix + ".layer_norm2",
                List.of(
                    prefix + ".self_attn.q_proj",
                    prefix + ".self_attn.k_proj",
                    prefix + ".self_attn.v_proj"),
                prefix + ".self_attn.out_proj",
                true);
        case TowerFamily.Dinov2 dino ->
            new Names(
                prefix + ".norm1",
                prefix + ".norm2",
                List.of(
                    prefix + ".attention.attention.query",
                    prefix + ".attention.attention.key",
                    prefix + ".attention.attention.value"),
                prefix + ".attention.output.dense",
                dino.queryBias());
      };
    }
  }

  TowerLayer(ParameterFactory from, String prefix, TowerConfig config) {
    int width = config.hidden();
    Role role = Role.VISION_TOWER;
    Names names = Names.of(config.family(), prefix);
    boolean scaled = config.family() instanceof TowerFamily.Dinov2;
    this.norm1 = Norm.of(from, role, names.norm1, width, config.normEps());
    this.norm2 = Norm.of(from, role, names.norm2, width, config.normEps());
    this.attention =
        new SelfAttention(
            Layers.stacked(from, role, names.queryKeyValue, width, width, names.queryBias),
            Layers.linear(from, role, names.out, width, width));
    this.mlp = new FeedForward(from, prefix + ".mlp", config);
    this.scale1 = scaled ? scale(from, prefix + ".layer_scale1", width) : null;
    this.scale2 = scaled ? scale(from, prefix + ".layer_scale2", width) : null;
  }

  private static Parameter scale(ParameterFactory from, String name, int width) {
    return from.parameter(name + ".lambda1", Role.VISION_TOWER, Init.ONES, width);
  }

  Tensor forward(Tape tape, Tensor x, Attention shape) {
    Tensor attended =
        attention.forward(tape, norm1.apply(tape, x), shape, null, Lookup.within(shape, null));
    Tensor h = Add.apply(tape, x, scaled(tape, attended, scale1));
    return Add.apply(tape, h, scaled(tape, mlp.forward(tape, norm2.apply(tape, h)), scale2));
  }

  private static Tensor scaled(Tape tape, Tensor x, @Nullable Parameter scale) {
    return scale == null ? x : ScaleColumns.apply(tape, x, scale);
  }

  @Override
  public void visit(Consumer<Parameter> visitor) {
    norm1.visit(visitor);
    attention.visit(visitor);
    norm2.visit(visitor);
    mlp.visit(visitor);
    if (scale1 != null && scale2 != null) {
      visitor.accept(scale1);
      visitor.accept(scale2);
    }
  }

  @Override
  public void close() {
    attention.close();
    mlp.close();
  }
}
