package io.moextend.eval;

import io.moextend.data.Batch;
import io.moextend.train.Losses;
import io.moextend.train.Objective;

/**
 * How surprised a model is by texts: e to the mean cross-entropy over all labelled positions, each
 * counted once whatever batch it stands in.
 *
 * @param nats summed cross-entropy
 * @param positions labelled positions
 */
public record Perplexity(double nats, long positions) {
  public Perplexity {
    if (positions < 1) {
      throw new IllegalArgumentException("a perplexity over " + positions + " positions");
    }
  }

  /**
   * @param model gives each batch's mean over its labelled positions
   * @param batches with labels
   */
  public static Perplexity of(Objective<Batch> model, Iterable<Batch> batches) {
    double nats = 0;
    long positions = 0;
    for (Batch batch : batches) {
      Losses losses = model.evaluate(batch);
      nats += losses.lmLoss() * batch.lossPositions();
      positions += batch.lossPositions();
    }
    return new Perplexity(nats, positions);
  }

  /**
   * From 1, where every token was certain; the vocabulary's size, where all were equally likely.
   */
  public double value() {
    return Math.exp(nats / positions);
  }
}
