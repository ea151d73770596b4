package io.moextend.train;

import io.moextend.config.ConfigException;

/** Checks that the sections of a {@link TrainConfig} share. */
final class Section {
  private Section() {}

  static void requireAtLeast(String field, long value, long least) {
    if (value < least) {
      throw new ConfigException(field, value, "must be at least " + least);
    }
  }

  static void requireAbove(String field, double value, double limit) {
    if (!(value > limit) || Double.isInfinite(value)) {
      throw new ConfigException(field, value, "must be greater than " + limit);
    }
  }

  static void requireWithin(String field, double value, double least, double most) {
    if (!(value >= least && value <= most)) {
      throw new ConfigException(field, value, "must be between %s and %s".formatted(least, most));
    }
  }
}
