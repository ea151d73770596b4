package io.moextend.moe;

import io.moextend.array.Array;
import io.moextend.autograd.Module;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.op.Weighted;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Decides which experts a token visits and with what weights. Shapes: T tokens, E experts, C
 * columns of logits (as many as experts, or a column for each expert that each gate reaches), k
 * chosen.
 */
public interface Router extends Module, Weighted, AutoCloseable {
  int experts();

  /** What each column of the logits is about; empty where a router has none. */
  List<Window> windows();

  /**
   * @throws IllegalArgumentException where the router needs something that the tokens come without
   */
  Decision route(Tape tape, Tokens tokens);

  @Override
  void close();

  /**
   * @param hidden [T, H]
   * @param modalities null where the model knows none
   * @param forced [T, k] I32, experts to take instead of the router's own choice (replaying a
   *     recorded run); null = none
   * @param noise seed of a training pass' noise; null = no noise
   */
  record Tokens(
      Tensor hidden,
      @Nullable Modalities modalities,
      @Nullable Array forced,
      @Nullable Long noise) {}

  /**
   * Neighbouring columns of the logits: what one group of tokens chooses among.
   *
   * @param column the first
   * @param columns how many
   * @param expert what the first stands for; the others follow
   */
  record Window(TokenGroup group, int column, int columns, int expert) {}

  /**
   * @param scores null where nothing is learnt of the choice
   * @param chosen [T, k] I32, experts
   * @param weights [T, k] wide
   */
  record Decision(@Nullable Scores scores, Array chosen, Tensor weights) {}

  /**
   * @param logits [T, C] wide, also those outside a token's window
   * @param probabilities [T, C] wide, 0 outside its window; what the balance loss reads
   * @param columns [T, k] I32, the choice as columns
   */
  record Scores(Tensor logits, Tensor probabilities, Array columns) {}
}
