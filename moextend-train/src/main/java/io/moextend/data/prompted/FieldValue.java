package io.moextend.data.prompted;

import java.util.List;

/** One field of an example's record, in whatever format it was written. */
sealed interface FieldValue {
  /** What an error calls it: "2 texts". */
  String kind();

  /** Some texts; one where the field is a text. */
  record Texts(List<String> values) implements FieldValue {
    public Texts {
      values = List.copyOf(values);
    }

    @Override
    public String kind() {
      return values.size() == 1 ? "a text" : values.size() + " texts";
    }
  }

  /** Some whole numbers; a truth value is 0 or 1. */
  @SuppressWarnings("ArrayRecordComponent") // handed over, compared nowhere
  record Integers(long[] values) implements FieldValue {
    @Override
    public String kind() {
      return values.length + " whole numbers";
    }
  }

  /** Some fractions. */
  @SuppressWarnings("ArrayRecordComponent") // handed over, compared nowhere
  record Reals(double[] values) implements FieldValue {
    @Override
    public String kind() {
      return values.length + " fractions";
    }
  }

  /** A list without an element, whose type nobody knows. */
  record Nothing() implements FieldValue {
    @Override
    public String kind() {
      return "an empty list";
    }
  }
}
