package io.moextend.nn;

import io.moextend.autograd.Module;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;

/** What an adapter does at one linear layer. */
public sealed interface Site extends Module permits Site.Additive, Site.Rescaling {
  /** Adds to what the layer gives: LoRA and its mixtures. */
  non-sealed interface Additive extends Site {
    /**
     * @param x [R, in], what the layer reads; @return [R, out], to be added to the layer's product
     */
    Tensor delta(Tape tape, Tensor x, SitePass pass);
  }

  /**
   * Multiplies what it is given: (IA)³ and its mixtures. Of keys and values that is the product,
   * split into heads; of a feed-forward network the hidden state.
   */
  non-sealed interface Rescaling extends Site {
    /**
     * @param y [R, out]; @return as y
     */
    Tensor rescale(Tape tape, Tensor y, SitePass pass);
  }
}
