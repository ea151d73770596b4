package io.moextend.config;

import java.util.List;

/** How rotary angles are changed so that a model reads further than it was first trained to. */
public sealed interface RopeScaling {
  /** Angles as they are. */
  record None() implements RopeScaling {}

  /**
   * Phi-3's: each frequency is divided by a factor of its own, of one list up to the original
   * length and of another beyond it; cosines and sines grow by an attention factor.
   *
   * @param originalPositions longest sequence that has the short factors
   * @param shortFactors for each frequency, as many as half a head is wide
   * @see <a href="https://arxiv.org/abs/2402.13753">LongRoPE</a>
   */
  record ByLength(
      Form form, int originalPositions, List<Double> shortFactors, List<Double> longFactors)
      implements RopeScaling {
    /** What the attention factor is. */
    public enum Form {
      /** sqrt(1 + ln s / ln original). */
      LONGROPE,
      /** 0.1 ln s + 1. */
      YARN
    }

    public ByLength {
      ConfigException.requirePositive("original_max_position_embeddings", originalPositions);
      shortFactors = List.copyOf(shortFactors);
      longFactors = List.copyOf(longFactors);
    }

    /** s = {@code maxPositions} / original; 1 where the model reads no further than at first. */
    public double attentionFactor(int maxPositions) {
      double s = maxPositions / (double) originalPositions;
      if (s <= 1) {
        return 1;
      }
      return switch (form) {
        case LONGROPE -> Math.sqrt(1 + Math.log(s) / Math.log(originalPositions));
        case YARN -> 0.1 * Math.log(s) + 1;
      };
    }
  }

  /**
   * Llama-3.1's: waves that are long beside the original length are stretched by {@code factor},
   * short ones stay, those between go over smoothly.
   *
   * @param lowFrequency waves longer than original / this are stretched whole
   * @param highFrequency waves shorter than original / this stay
   */
  record ByWavelength(
      double factor, double lowFrequency, double highFrequency, int originalPositions)
      implements RopeScaling {
    public ByWavelength {
      ConfigException.requirePositive("original_max_position_embeddings", originalPositions);
      if (!(highFrequency > lowFrequency)) {
        throw new ConfigException(
            "high_freq_factor", highFrequency, "must be above low_freq_factor=" + lowFrequency);
      }
    }
  }
}
