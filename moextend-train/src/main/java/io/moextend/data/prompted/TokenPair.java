package io.moextend.data.prompted;

/**
 * An example as ids.
 *
 * @param where how errors name the example
 * @param inputs at least one, without an end
 * @param targets at least one; the last is the end, but where they were cut
 */
@SuppressWarnings("ArrayRecordComponent") // handed over, compared nowhere
public record TokenPair(String where, int[] inputs, int[] targets) {
  public TokenPair {
    if (inputs.length == 0 || targets.length == 0) {
      throw new IllegalArgumentException(
          "%s has %d inputs and %d targets".formatted(where, inputs.length, targets.length));
    }
  }
}
