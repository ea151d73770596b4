package io.moextend.moe;

import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Backend;
import io.moextend.op.Add;
import io.moextend.op.Project;
import io.moextend.op.Route;
import io.moextend.op.Weight;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;

/**
 * A gate for vision tokens and one for text tokens, each over a window of the layer's experts. The
 * windows may overlap (MoIIE) or not. Within its window a token is routed as in Mixtral: p =
 * softmax(l), the k largest choose, their p divided by their sum weigh.
 *
 * <p>Both gates are one product over all tokens; logits of the gate that a token does not belong to
 * are shut before the softmax. So no rows are taken apart and put together again, and a gate that
 * has no token gets zeros for its gradient.
 *
 * @see <a href="https://arxiv.org/abs/2508.09779">MoIIE</a>, section 3.2
 */
public final class TwoGateRouter implements Router {
  /** Far below any logit, and its exponential is 0; finite, so that no difference is NaN. */
  private static final double SHUT = -1e30;

  private final Weight gates;
  private final Window vision;
  private final Window text;
  private final int topK;

  private TwoGateRouter(Weight gates, Window vision, Window text, int topK) {
    this.gates = gates;
    this.vision = vision;
    this.text = text;
    this.topK = topK;
  }

  /**
   * @param gates two parts, the vision gate [V, H] above the text gate [L, H]
   * @param firstText the first expert of the text gate; that of the vision gate is 0
   * @param topK experts a token visits, at most V and L
   */
  public static TwoGateRouter of(Weight gates, int firstText, int topK) {
    if (gates.parts().size() != 2) {
      throw new IllegalArgumentException(gates.parts().size() + " gates, two are wanted");
    }
    int visible = rows(gates.parts().get(0));
    int readable = rows(gates.parts().get(1));
    if (topK > Math.min(visible, readable) || firstText > visible) {
      throw new IllegalArgumentException(
          "gates over %d experts and over %d from expert %d on, %d chosen"
              .formatted(visible, readable, firstText, topK));
    }
    return new TwoGateRouter(
        gates,
        new Window(TokenGroup.VISION, 0, visible, 0),
        new Window(TokenGroup.TEXT, visible, readable, firstText),
        topK);
  }

  private static int rows(Parameter gate) {
    return Math.toIntExact(gate.shape()[0]);
  }

  @Override
  public int experts() {
    return text.expert() + text.columns();
  }

  @Override
  public List<Window> windows() {
    return List.of(vision, text);
  }

  @Override
  public Decision route(Tape tape, Tokens tokens) {
    Modalities modalities = ModalityRouter.required(tokens);
    Array forced = tokens.forced();
    DType wide = tokens.hidden().data().dtype().wide();
    Tensor logits = Project.apply(tape, tokens.hidden(), gates, wide);
    Tensor open =
        Add.apply(tape, logits, Tensor.constant(shut(tape, modalities.kinds(), logits.data())));
    Tensor p = Route.probabilities(tape, open);
    // of logits, not of probabilities: these may be 0 inside the window too
    Array columns =
        forced == null
            ? tape.backend().topK(tape.arena(), open.data(), topK)
            : columns(tape, modalities, forced);
    Array chosen = forced == null ? experts(tape, columns) : forced;
    return new Decision(
        new Scores(logits, p, columns), chosen, Route.weights(tape, p, columns, true));
  }

  /** [T, C]: 0 in a token's window, {@link #SHUT} elsewhere. */
  private Array shut(Tape tape, Array kinds, Array like) {
    int columns = vision.columns() + text.columns();
    double[] rows = new double[2 * columns];
    Arrays.fill(rows, 0, vision.columns(), SHUT); // row 0 is for text
    Arrays.fill(rows, columns + vision.columns(), 2 * columns, SHUT);
    Backend backend = tape.backend();
    Array table = backend.doubles(tape.arena(), like.dtype(), rows, 2, columns);
    return backend.gatherRows(tape.arena(), table, kinds);
  }

  private Array experts(Tape tape, Array columns) {
    int[] expert = new int[vision.columns() + text.columns()];
    for (Window window : windows()) {
      for (int i = 0; i < window.columns(); i++) {
        expert[window.column() + i] = window.expert() + i;
      }
    }
    Backend backend = tape.backend();
    Array table = backend.ints(tape.arena(), expert, expert.length, 1);
    Array flat = columns.reshape(columns.size());
    return backend.gatherRows(tape.arena(), table, flat).reshape(columns.shape());
  }

  /** The columns of experts that were chosen before; on the host, replays are for comparisons. */
  private Array columns(Tape tape, Modalities modalities, Array forced) {
    forced.require("forced experts", modalities.tokens(), -1);
    int k = Math.toIntExact(forced.dim(1));
    int[] columns = tape.backend().toInts(forced);
    for (int i = 0; i < columns.length; i++) {
      Window window = modalities.isVision(i / k) ? vision : text;
      int within = columns[i] - window.expert();
      if (within < 0 || within >= window.columns()) {
        throw new IllegalArgumentException(
            "expert %d is forced on token %d, a %s token, which chooses among experts %d to %d"
                .formatted(
                    columns[i],
                    i / k,
                    window.group() == TokenGroup.VISION ? "vision" : "text",
                    window.expert(),
                    window.expert() + window.columns() - 1));
      }
      columns[i] = window.column() + within;
    }
    return tape.backend().ints(tape.arena(), columns, forced.shape());
  }

  @Override
  public void visit(Consumer<Parameter> visitor) {
    gates.parts().forEach(visitor);
  }

  @Override
  public void visitWeights(Consumer<Weight> visitor) {
    visitor.accept(gates);
  }

  @Override
  public void close() {
    gates.close();
  }
}
