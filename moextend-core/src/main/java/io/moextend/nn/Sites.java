package io.moextend.nn;

import org.jspecify.annotations.Nullable;

/** Which of a model's linear layers have an adapter. Asked by the model's constructor. */
@FunctionalInterface
public interface Sites {
  /** No adapter anywhere. */
  Sites NONE = layer -> null;

  /**
   * A linear layer of a model.
   *
   * @param module the published name without ".weight": "encoder.block.0.layer.0.SelfAttention.k"
   * @param in width of what it reads
   * @param out width of what it gives
   * @param heads attention heads that {@code out} is split into; 1 where it is not
   */
  record Layer(String module, long in, long out, int heads) {}

  /**
   * @return null where the layer has no adapter
   */
  @Nullable Site at(Layer layer);
}
