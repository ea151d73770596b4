package io.moextend.moe;

import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Backend;
import io.moextend.op.Weight;
import java.util.List;
import java.util.function.Consumer;

/** Vision tokens to expert 0, text tokens to expert 1, with weight 1; nothing is learnt. */
public final class ModalityRouter implements Router {
  private static final int VISION = 0;
  private static final int TEXT = 1;

  @Override
  public int experts() {
    return 2;
  }

  @Override
  public List<Window> windows() {
    return List.of();
  }

  @Override
  public Decision route(Tape tape, Tokens tokens) {
    Modalities modalities = required(tokens);
    if (tokens.forced() != null) {
      throw new IllegalArgumentException(
          "experts are forced on a layer that goes by modality; it has no choice to replay");
    }
    Backend backend = tape.backend();
    DType wide = tokens.hidden().data().dtype().wide();
    Array table = backend.ints(tape.arena(), new int[] {TEXT, VISION}, 2, 1);
    Array chosen = backend.gatherRows(tape.arena(), table, modalities.kinds());
    Array weights = tape.arena().allocate(wide, modalities.tokens(), 1);
    backend.fillInto(weights, 1);
    return new Decision(null, chosen, Tensor.constant(weights));
  }

  /** The modalities of tokens, which must be as many. */
  static Modalities required(Tokens tokens) {
    Modalities modalities = tokens.modalities();
    if (modalities == null) {
      throw new IllegalArgumentException(
          "this layer goes by modality, and the pass does not say which tokens are vision");
    }
    tokens.hidden().data().require("hidden", modalities.tokens(), -1);
    return modalities;
  }

  @Override
  public void visit(Consumer<Parameter> visitor) {}

  @Override
  public void visitWeights(Consumer<Weight> visitor) {}

  @Override
  public void close() {}
}
