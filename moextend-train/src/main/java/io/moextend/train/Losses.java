package io.moextend.train;

import java.util.Collection;

/**
 * What one micro-batch, or a step of several, cost.
 *
 * @param loss what is minimised: language loss plus weighted load-balancing loss
 * @param lmLoss mean cross-entropy over the batch's labelled positions
 * @param auxLoss load-balancing loss before its weight, the sum where vision and text have one
 *     each; 0 where there is none
 * @param tokens unmasked tokens that went through the model
 * @param samples rows
 * @param trained false where nothing that trains took part (in alignment, a batch without images):
 *     its gradient is 0
 */
public record Losses(
    double loss, double lmLoss, double auxLoss, long tokens, long samples, boolean trained) {
  public boolean finite() {
    return Double.isFinite(loss) && Double.isFinite(lmLoss) && Double.isFinite(auxLoss);
  }

  /**
   * The mean over micro-batches, whatever their sizes, as Hugging Face's Trainer takes it; tokens
   * and samples are added up.
   */
  static Losses mean(Collection<Losses> parts) {
    double n = parts.size();
    double loss = 0;
    double lm = 0;
    double aux = 0;
    long tokens = 0;
    long samples = 0;
    boolean trained = false;
    for (Losses part : parts) {
      loss += part.loss / n;
      lm += part.lmLoss / n;
      aux += part.auxLoss / n;
      tokens += part.tokens;
      samples += part.samples;
      trained |= part.trained;
    }
    return new Losses(loss, lm, aux, tokens, samples, trained);
  }

  /** One rank's own, as it tells them to the others. */
  double[] values() {
    return new double[] {loss, lmLoss, auxLoss, tokens, samples, trained ? 1 : 0};
  }

  static Losses ofValues(double[] values) {
    return new Losses(
        values[0], values[1], values[2], (long) values[3], (long) values[4], values[5] > 0);
  }
}
