package io.moextend.bench;

import io.moextend.backend.Activation;
import io.moextend.config.ConfigException;
import io.moextend.config.TowerConfig;
import io.moextend.config.TowerFamily;

/**
 * A model to be timed, and the batch it is given, as in scripts/bench/hf_peer.py and
 * hf_moiie_peer.py.
 *
 * @param experts of a layer that has any
 * @param batch rows of a rank's micro-batch
 * @param sequence tokens of a row
 */
public record StepSize(
    int hidden, int intermediate, int layers, int experts, int vocab, int batch, int sequence) {
  /** Width of what a tower would hand to the projector. */
  static final int FEATURES = 1024;

  /** First of a row's image slots. */
  static final int FIRST_SLOT = 4;

  public StepSize {
    BenchShape.requireHidden(hidden);
    if (batch < 1) {
      throw new ConfigException("--size batch", batch, "must be at least 1");
    }
  }

  /** The second half of a row is labelled, and the image lies before it. */
  void requireRoom(int patches) {
    int least = 2 * (patches + FIRST_SLOT);
    if (sequence < least) {
      throw new ConfigException("--size sequence", sequence, "must be at least " + least);
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

  /** One that hands out a grid of patches; it never runs, its features are given. */
  static TowerConfig tower(int side) {
    int pixels = 14;
    return new TowerConfig(
        new TowerFamily.Clip(),
        FEATURES,
        BenchShape.HEAD,
        1,
        16,
        3,
        side * pixels,
        pixels,
        Activation.QUICK_GELU,
        1e-5,
        0.02);
  }

  @Override
  public String toString() {
    return "%d,%d,%d,%d,%d,%d,%d"
        .formatted(hidden, intermediate, layers, experts, vocab, batch, sequence);
  }
}
