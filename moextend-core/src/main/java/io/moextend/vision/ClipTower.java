package io.moextend.vision;

import io.moextend.array.Array;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.config.TowerConfig;
import io.moextend.nn.ParameterFactory;
import java.util.List;
import java.util.function.Consumer;

/**
 * CLIP's vision transformer: patches, a class token in front, learned positions, pre-norm layers.
 *
 * @see <a href="https://arxiv.org/abs/2103.00020">Learning Transferable Visual Models</a>; names of
 *     Hugging Face's CLIPVisionModel
 */
public final class ClipTower implements Tower {
  private final TowerConfig config;
  private final PatchEmbedding embedding;
  private final Norm preNorm;
  private final Encoder encoder;
  private final Norm postNorm;

  /**
   * @param prefix "vision_model.", or "model.visual.vision_tower.vision_model." inside a decoder
   */
  ClipTower(ParameterFactory from, String prefix, TowerConfig config) {
    Role role = Role.VISION_TOWER;
    int width = config.hidden();
    this.config = config;
    this.embedding = new PatchEmbedding(from, prefix + "embeddings.", config);
    this.preNorm = Norm.of(from, role, prefix + "pre_layrnorm", width, config.normEps());
    this.encoder = new Encoder(from, prefix + "encoder.layers.", config);
    this.postNorm = Norm.of(from, role, prefix + "post_layernorm", width, config.normEps());
  }

  @Override
  public TowerConfig config() {
    return config;
  }

  @Override
  public List<Tensor> hiddenStates(Tape tape, Array pixels, int upTo) {
    return encoder.states(
        tape, () -> preNorm.apply(tape, embedding.embed(tape, pixels)), config.rows(), upTo);
  }

  @Override
  public Tensor last(Tape tape, Tensor state) {
    return state;
  }

  @Override
  public Tensor patchesOf(Tape tape, Tensor state) {
    return embedding.patchesOf(tape, state);
  }

  /** The class token, normed. */
  @Override
  public Tensor pooled(Tape tape, Tensor state) {
    return postNorm.apply(tape, embedding.classesOf(tape, state));
  }

  @Override
  public void visit(Consumer<Parameter> visitor) {
    embedding.visit(visitor);
    preNorm.visit(visitor);
    encoder.visit(visitor);
    postNorm.visit(visitor);
  }

  @Override
  public void close() {
    embedding.close();
    encoder.close();
  }
}
