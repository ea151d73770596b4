package io.moextend.model;

import io.moextend.array.Array;

/**
 * Sees a forward pass's named arrays as they are made: "hidden_states.N" (0 = embeddings with the
 * images put in, the last = after the final norm), "clip_hidden_states.N", "image_features". An
 * array is valid during the call only.
 */
@FunctionalInterface
public interface Watch {
  Watch NONE = (name, array) -> {};

  void see(String name, Array array);
}
