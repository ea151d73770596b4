package io.moextend.nn;

import io.moextend.autograd.Module;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.op.Weight;
import org.jspecify.annotations.Nullable;

/** What an adapter does at one linear layer. */
public sealed interface Site extends Module permits Site.Additive, Site.Rescaling {
  /** Adds to what the layer gives: LoRA and its mixtures. */
  non-sealed interface Additive extends Site {
    /**
     * @param x [R, in], what the layer reads; @return [R, out], to be added to the layer's product
     */
    Tensor delta(Tape tape, Tensor x, SitePass pass);

    /**
     * As {@link #delta}, as a product that is still to be made, with the layer's own.
     *
     * @return null where it is none
     */
    default @Nullable Product product(Tape tape, Tensor x, SitePass pass) {
      return null;
    }
  }

  /**
   * h B.
   *
   * @param h [R, rank]
   * @param b [rank, out]
   */
  record Product(Tensor h, Weight b) {}

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
