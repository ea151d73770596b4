package io.moextend.bench;

import io.moextend.stage.Stage;

/**
 * Multiplications and additions that one step of a {@link StepModel#MIXTRAL} cannot do without,
 * whoever computes it and however: what a card's share of its product rate is counted on. A product
 * of [m, n] with [n, p] is 2 m n p. Counted are
 *
 * <ul>
 *   <li>the forward pass once (running layers again is not counted), logits at labelled positions
 *       alone, and the last layer's experts for the rows that logits are made of;
 *   <li>gradients of activations where something below them trains: everywhere for alignment and
 *       finetune, whose projector is the first of all; for extension in all layers but the first,
 *       where the gradient ends at the router;
 *   <li>gradients of those weights that train: projector, routers, or of finetune the projector,
 *       the added experts for the share of rows that even routing gives them, and their gate rows;
 *   <li>of causal attention the lower half: two products forward, four backward.
 * </ul>
 *
 * Norms, softmax, activations, calibration and the optimizer are not counted.
 *
 * @param products all but attention
 * @param attention scores and their sums
 */
record NeededFlops(double products, double attention) {
  private static final int CHOSEN = 2;
  private static final int HEAD = BenchShape.HEAD;

  double total() {
    return products + attention;
  }

  /** MoExtend's own stages. */
  static boolean counts(Stage stage) {
    return stage == Stage.ALIGNMENT || stage == Stage.EXTENSION || stage == Stage.FINETUNE;
  }

  static NeededFlops of(StepSize size, Stage stage) {
    if (!counts(stage)) {
      throw new IllegalArgumentException("not counted: " + stage);
    }
    var work = new Work(size, stage);
    return new NeededFlops(work.products(), work.attention());
  }

  /** The parts that the sums are made of. */
  private record Work(StepSize size, Stage stage) {
    double products() {
      double sum = 2 * head() + projector();
      for (int layer = 0; layer < size.layers(); layer++) {
        sum += (flowsThrough(layer) ? 2 : 1) * layer(layer) + weightGradients(layer);
      }
      return sum;
    }

    double attention() {
      double forward = 2.0 * size.batch() * size.sequence() * size.sequence() * size.hidden();
      double sum = 0;
      for (int layer = 0; layer < size.layers(); layer++) {
        sum += (flowsThrough(layer) ? 3 : 1) * forward;
      }
      return sum;
    }

    /** Whether a gradient has to come out of the layer's lower end. */
    private boolean flowsThrough(int layer) {
      return stage != Stage.EXTENSION || layer > 0;
    }

    private boolean extended(int layer) {
      return stage == Stage.FINETUNE && layer % 2 == 1;
    }

    private double labelled() {
      return size.tokens() / 2.0;
    }

    private double head() {
      return 2 * labelled() * size.hidden() * size.vocab();
    }

    private double projector() {
      double rows = (double) size.batch() * StepModel.MIXTRAL.patches();
      double first = 2 * rows * StepSize.FEATURES * size.hidden();
      double second = 2 * rows * size.hidden() * size.hidden();
      // weights of both train, and the first sees the gradient through the second
      return stage == Stage.EXTENSION ? first + second : 2 * first + 3 * second;
    }

    private double layer(int layer) {
      double h = size.hidden();
      double keys = Math.max(1, size.hidden() / (4 * HEAD)) * HEAD;
      double rows = layer == size.layers() - 1 ? labelled() : size.tokens();
      double projections = 2.0 * size.tokens() * h * (2 * h + 2 * keys);
      double gate = 2.0 * size.tokens() * h * (size.experts() + (extended(layer) ? 1 : 0));
      return projections + gate + expertRows(rows);
    }

    /** Three matrices of an expert, and each row goes to two. */
    private double expertRows(double rows) {
      return rows * CHOSEN * 3 * 2 * size.hidden() * size.intermediate();
    }

    private double weightGradients(int layer) {
      double gateRow = 2.0 * size.tokens() * size.hidden();
      if (stage == Stage.EXTENSION) {
        return gateRow * size.experts();
      }
      if (!extended(layer)) {
        return 0;
      }
      double rows = layer == size.layers() - 1 ? labelled() : size.tokens();
      return gateRow + expertRows(rows) / (size.experts() + 1);
    }
  }
}
