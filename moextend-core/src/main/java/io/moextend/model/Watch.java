package io.moextend.model;

import io.moextend.array.Array;

/**
 * Sees a forward pass's named arrays as they are made: "hidden_states.N" (0 = embeddings with the
 * images put in, the last = after the final norm), "clip_hidden_states.N", "vision_features" (what
 * the projector reads), "image_features" (what it makes of them), "mlp_in.N" and "mlp_out.N" of
 * layer N's network or experts, and of adapters "router.MODULE" and "adapter_output.MODULE" ({@link
 * io.moextend.nn.SitePass}), where layers are not run again. An array is valid during the call
 * only.
 */
@FunctionalInterface
public interface Watch {
  Watch NONE = (name, array) -> {};

  void see(String name, Array array);
}
