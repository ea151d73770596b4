package io.moextend.vision;

import io.moextend.array.Array;
import io.moextend.autograd.Module;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.config.TowerConfig;
import io.moextend.config.TowerFamily;
import io.moextend.nn.ParameterFactory;
import java.util.List;

/**
 * A vision transformer under Hugging Face's names. It trains where its parameters do; frozen, it
 * keeps no activations.
 */
public sealed interface Tower extends Module, AutoCloseable
    permits ClipTower, SiglipTower, DinoTower {
  /**
   * @param prefix what stands before the published names: "" in a folder of its own,
   *     "model.visual.vision_tower." inside a decoder
   */
  static Tower of(ParameterFactory from, String prefix, TowerConfig config) {
    return switch (config.family()) {
      case TowerFamily.Clip() -> new ClipTower(from, prefix + "vision_model.", config);
      case TowerFamily.Siglip siglip ->
          new SiglipTower(from, prefix + "vision_model.", config, siglip);
      case TowerFamily.Dinov2 _ -> new DinoTower(from, prefix, config);
    };
  }

  TowerConfig config();

  /**
   * The hidden states from the embeddings on.
   *
   * @param pixels [N, channels, size, size], of the compute type
   * @param upTo how many layers to run; the result has one more entry
   * @return [N·rows, hidden] each, rows as {@link TowerConfig#rows} says
   */
  List<Tensor> hiddenStates(Tape tape, Array pixels, int upTo);

  /**
   * What Hugging Face calls last_hidden_state: for SigLIP and DINOv2 behind a last norm.
   *
   * @param state the last of all hidden states; @return as it
   */
  Tensor last(Tape tape, Tensor state);

  /** Drops what stands before each image's patches: [N·rows, hidden] to [N·patches, hidden]. */
  Tensor patchesOf(Tape tape, Tensor state);

  /**
   * What stands for whole images: Hugging Face's pooler_output.
   *
   * @param state the last of all hidden states; @return [N, hidden]
   */
  Tensor pooled(Tape tape, Tensor state);

  @Override
  void close();
}
