package io.moextend.vision;

import io.moextend.array.Array;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.config.TowerConfig;
import io.moextend.config.TowerFamily;
import io.moextend.nn.ParameterFactory;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * SigLIP's vision transformer: patches alone, learned positions, pre-norm layers, a norm behind
 * them, and a head that reads the image with a learned probe.
 *
 * @see <a href="https://arxiv.org/abs/2303.15343">Sigmoid Loss for Language Image Pre-Training</a>;
 *     names of Hugging Face's SiglipVisionModel
 */
public final class SiglipTower implements Tower {
  private final TowerConfig config;
  private final PatchEmbedding embedding;
  private final Encoder encoder;
  private final Norm postNorm;
  private final @Nullable ProbeHead head;

  SiglipTower(ParameterFactory from, String prefix, TowerConfig config, TowerFamily.Siglip family) {
    this.config = config;
    this.embedding = new PatchEmbedding(from, prefix + "embeddings.", config);
    this.encoder = new Encoder(from, prefix + "encoder.layers.", config);
    this.postNorm =
        Norm.of(
            from, Role.VISION_TOWER, prefix + "post_layernorm", config.hidden(), config.normEps());
    this.head = family.head() ? new ProbeHead(from, prefix + "head.", config) : null;
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
    return postNorm.apply(tape, state);
  }

  @Override
  public Tensor patchesOf(Tape tape, Tensor state) {
    return state;
  }

  /**
   * What the probe reads in the last hidden state.
   *
   * @throws IllegalStateException where the tower was published without a head
   */
  @Override
  public Tensor pooled(Tape tape, Tensor state) {
    if (head == null) {
      throw new IllegalStateException("this tower has vision_use_head=false: it pools nothing");
    }
    return head.forward(tape, last(tape, state), config.rows());
  }

  @Override
  public void visit(Consumer<Parameter> visitor) {
    embedding.visit(visitor);
    encoder.visit(visitor);
    postNorm.visit(visitor);
    if (head != null) {
      head.visit(visitor);
    }
  }

  @Override
  public void close() {
    embedding.close();
    encoder.close();
    if (head != null) {
      head.close();
    }
  }
}
