package io.moextend.vision;

import io.moextend.array.Array;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.config.TowerConfig;
import io.moextend.nn.ParameterFactory;
import io.moextend.nn.ParameterFactory.Init;
import java.util.List;
import java.util.function.Consumer;

/**
 * DINOv2's vision transformer: a class token in front, learned positions, pre-norm layers whose
 * branches are scaled, and a norm behind them. Images have the size the positions were learned at.
 *
 * @see <a href="https://arxiv.org/abs/2304.07193">DINOv2</a>; names of Hugging Face's Dinov2Model
 */
public final class DinoTower implements Tower {
  private final TowerConfig config;
  private final PatchEmbedding embedding;
  private final Parameter maskToken;
  private final Encoder encoder;
  private final Norm norm;

  DinoTower(ParameterFactory from, String prefix, TowerConfig config) {
    Role role = Role.VISION_TOWER;
    this.config = config;
    this.embedding = new PatchEmbedding(from, prefix + "embeddings.", config);
    // stood for hidden patches in pretraining; kept, so that the tower is written whole
    this.maskToken =
        from.parameter(prefix + "embeddings.mask_token", role, Init.ZEROS, 1, config.hidden());
    this.encoder = new Encoder(from, prefix + "encoder.layer.", config);
    this.norm = Norm.of(from, role, prefix + "layernorm", config.hidden(), config.normEps());
  }

  @Override
  public TowerConfig config() {
    return config;
  }

  @Override
  public List<Tensor> hiddenStates(Tape tape, Array pixels, int upTo) {
    return encoder.states(tape, () -> embedding.embed(tape, pixels), config.rows(), upTo);
  }

  @Override
  public Tensor last(Tape tape, Tensor state) {
    return norm.apply(tape, state);
  }

  @Override
  public Tensor patchesOf(Tape tape, Tensor state) {
    return embedding.patchesOf(tape, state);
  }

  /** The class token, normed. */
  @Override
  public Tensor pooled(Tape tape, Tensor state) {
    return norm.apply(tape, embedding.classesOf(tape, state));
  }

  @Override
  public void visit(Consumer<Parameter> visitor) {
    embedding.visit(visitor);
    visitor.accept(maskToken);
    encoder.visit(visitor);
    norm.visit(visitor);
  }

  @Override
  public void close() {
    embedding.close();
    encoder.close();
  }
}
