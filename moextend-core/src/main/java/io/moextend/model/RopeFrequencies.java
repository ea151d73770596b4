package io.moextend.model;

import io.moextend.config.DecoderConfig.Rope;
import io.moextend.config.RopeScaling;

/**
 * By how much each pair of a head turns from one position to the next, formed in single precision,
 * as the published code forms it.
 *
 * @param inverse [headSize/2] radians a position
 * @param attentionFactor what cosines and sines are multiplied by
 */
@SuppressWarnings("ArrayRecordComponent") // read where tables are made, compared nowhere
record RopeFrequencies(float[] inverse, float attentionFactor) {
  /**
   * @param length of the sequence: Phi-3's choice between its factors
   */
  static RopeFrequencies of(Rope rope, int headSize, int length) {
    float[] inverse = new float[headSize / 2];
    for (int i = 0; i < inverse.length; i++) {
      float plain = (float) Math.pow(rope.theta(), (float) (2 * i) / headSize);
      inverse[i] =
          switch (rope.scaling()) {
            case RopeScaling.None _ -> 1f / plain;
            case RopeScaling.ByLength by -> {
              var factors = length > by.originalPositions() ? by.longFactors() : by.shortFactors();
              yield 1f / (factors.get(i).floatValue() * plain);
            }
            case RopeScaling.ByWavelength by -> stretched(1f / plain, by);
          };
    }
    return new RopeFrequencies(
        inverse,
        rope.scaling() instanceof RopeScaling.ByLength by
            ? (float) by.attentionFactor(rope.maxPositions())
            : 1f);
  }

  private static float stretched(float inverse, RopeScaling.ByWavelength by) {
    float wave = (float) (2 * Math.PI) / inverse;
    float original = by.originalPositions();
    if (wave > original / by.lowFrequency()) {
      return inverse / (float) by.factor();
    }
    if (wave < original / by.highFrequency()) {
      return inverse;
    }
    float smooth =
        (original / wave - (float) by.lowFrequency())
            / (float) (by.highFrequency() - by.lowFrequency());
    return (1 - smooth) * inverse / (float) by.factor() + smooth * inverse;
  }
}
