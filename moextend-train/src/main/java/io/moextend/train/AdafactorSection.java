package io.moextend.train;

import io.moextend.optim.Adafactor;
import org.jspecify.annotations.Nullable;

/**
 * How Adafactor works, in T5X's names.
 *
 * @param startStep steps made before this run's first; a published adapter's were 1,100,000
 * @param decayRate exponent r: the mean of squares keeps 1 - step^-r of itself
 * @param clippingThreshold largest root mean square of an update before it is scaled
 * @param multiplyByParameterScale whether rates are relative to the weights' root mean square
 * @param minDimSizeToFactor matrices with both sides this long keep squares by rows and columns;
 *     null = none
 */
public record AdafactorSection(
    long startStep,
    double decayRate,
    double clippingThreshold,
    boolean multiplyByParameterScale,
    @Nullable Integer minDimSizeToFactor) {

  public AdafactorSection {
    Section.requireAtLeast("optimizer.adafactor.start_step", startStep, 0);
    Section.requireAbove("optimizer.adafactor.decay_rate", decayRate, 0);
    Section.requireAbove("optimizer.adafactor.clipping_threshold", clippingThreshold, 0);
    if (minDimSizeToFactor != null) {
      Section.requireAtLeast("optimizer.adafactor.min_dim_size_to_factor", minDimSizeToFactor, 1);
    }
  }

  /** T5X's settings. */
  public static AdafactorSection from(long startStep) {
    return new AdafactorSection(
        startStep, 0.8, 1, true, Math.toIntExact(Adafactor.PUBLISHED_SIDES));
  }

  Adafactor rule() {
    return new Adafactor(
        startStep,
        decayRate,
        clippingThreshold,
        multiplyByParameterScale,
        minDimSizeToFactor == null ? Adafactor.NEVER : minDimSizeToFactor);
  }
}
