package io.moextend.bench;

import io.moextend.backend.Activation;
import io.moextend.config.ConfigException;
import io.moextend.config.DecoderConfig;
import io.moextend.config.TowerConfig;
import io.moextend.config.TowerFamily;
import io.moextend.config.VisionConfig;
import io.moextend.stage.Stage;
import java.util.TreeSet;

/**
 * A Mixtral to be timed, and the batch it is given, as in scripts/bench/hf_peer.py.
 *
 * @param batch rows of a rank's micro-batch
 * @param sequence tokens of a row
 */
public record StepSize(
    int hidden, int intermediate, int layers, int experts, int vocab, int batch, int sequence) {
  /** Image patches of a row, whose embeddings come from the projector. */
  public static final int PATCHES = 64;

  /** Width of what a tower would hand to the projector. */
  static final int FEATURES = 1024;

  /** First of a row's image slots. */
  static final int FIRST_SLOT = 4;

  public StepSize {
    BenchShape.requireHidden(hidden);
    if (sequence < 2 * (PATCHES + FIRST_SLOT)) {
      throw new ConfigException(
          "--size sequence", sequence, "must be at least " + 2 * (PATCHES + FIRST_SLOT));
    }
    if (batch < 1) {
      throw new ConfigException("--size batch", batch, "must be at least 1");
    }
  }

  /**
   * @param text hidden,intermediate,layers,experts,vocab,batch,sequence
   */
  public static StepSize parse(String text) {
    int[] n =
        BenchShape.numbers(
            text,
            7,
            "hidden,intermediate,layers,experts,vocab,batch,sequence, as in 1024,3584,4,8,8192,2,512");
    return new StepSize(n[0], n[1], n[2], n[3], n[4], n[5], n[6]);
  }

  public int tokens() {
    return batch * sequence;
  }

  /** Every second layer is extended where the stage trains added experts. */
  DecoderConfig config(Stage stage) {
    var extended = new TreeSet<Integer>();
    if (stage == Stage.FINETUNE) {
      for (int layer = 1; layer < layers; layer += 2) {
        extended.add(layer);
      }
    }
    int side = 14 * 8;
    var tower =
        new TowerConfig(
            new TowerFamily.Clip(),
            FEATURES,
            BenchShape.HEAD,
            1,
            16,
            3,
            side,
            14,
            Activation.QUICK_GELU,
            1e-5,
            0.02);
    return BenchShape.config(
        hidden,
        intermediate,
        layers,
        experts,
        vocab,
        sequence,
        extended,
        new VisionConfig(tower, "mlp2x_gelu", -1, vocab));
  }

  @Override
  public String toString() {
    return "%d,%d,%d,%d,%d,%d,%d"
        .formatted(hidden, intermediate, layers, experts, vocab, batch, sequence);
  }
}
