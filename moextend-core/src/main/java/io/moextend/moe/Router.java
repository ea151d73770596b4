package io.moextend.moe;

import io.moextend.array.Array;
import io.moextend.autograd.Module;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.op.Weighted;
import org.jspecify.annotations.Nullable;

/** Decides which experts a token visits and with what weights. */
public interface Router extends Module, Weighted, AutoCloseable {
  int experts();

  Decision route(Tape tape, Tokens tokens);

  @Override
  void close();

  /**
   * @param hidden [T, H]
   * @param vision [T] U8, 1 where a token is an image patch; null where the model knows none
   * @param forced [T, k] I32, a choice to take instead of the router's own (replaying a recorded
   *     run); null = none
   */
  record Tokens(Tensor hidden, @Nullable Array vision, @Nullable Array forced) {}

  /**
   * @param logits [T, E] wide
   * @param probabilities [T, E] wide, what the balance loss reads
   * @param chosen [T, k] I32
   * @param weights [T, k] wide
   */
  record Decision(Tensor logits, Tensor probabilities, Array chosen, Tensor weights) {}
}
