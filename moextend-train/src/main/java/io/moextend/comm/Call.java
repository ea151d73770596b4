package io.moextend.comm;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * One collective call as ranks show it to each other before they touch data, so that ranks that are
 * at different places of their program say so instead of mixing up their numbers.
 *
 * @param sequence from 1, the same on all ranks
 * @param signature what must be equal on all ranks: method, buffer, elements
 * @param what for people
 */
record Call(long sequence, String signature, String what) {
  /** Of the shown form: sequence, two lengths, signature, what (shortened if need be). */
  static final int BYTES = 256;

  private static final int TEXT = 12;
  private static final ValueLayout.OfLong LONG =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  static String ofBuffer(String name, long bytes) {
    return "buffer " + name + " of " + bytes + " bytes";
  }

  static String signature(String method, Buffer.Slice from, Buffer.Slice into) {
    return signature(signature(method, from) + " into", into);
  }

  static String signature(String method, Buffer.Slice slice) {
    return method
        + " of ["
        + slice.from()
        + ", "
        + slice.to()
        + ") "
        + slice.payload()
        + " in "
        + slice.buffer().name();
  }

  /** Writes the shown form, {@link #BYTES} long. */
  void show(MemorySegment at) {
    byte[] first = signature.getBytes(StandardCharsets.UTF_8);
    if (first.length > BYTES - TEXT) {
      throw new IllegalArgumentException("too long to show: " + signature);
    }
    byte[] second = what.getBytes(StandardCharsets.UTF_8);
    int left = Math.min(second.length, BYTES - TEXT - first.length);
    at.set(LONG, 0, sequence);
    at.set(SHORT, 8, (short) first.length);
    at.set(SHORT, 10, (short) left);
    MemorySegment.copy(first, 0, at, ValueLayout.JAVA_BYTE, TEXT, first.length);
    MemorySegment.copy(second, 0, at, ValueLayout.JAVA_BYTE, TEXT + first.length, left);
  }

  /**
   * @param shown by another rank
   * @throws IllegalStateException where it is in another call
   */
  void expect(int rank, MemorySegment shown) {
    if (shown.get(LONG, 0) == sequence && hasSignature(shown)) {
      return;
    }
    Call other = read(rank, shown);
    throw new IllegalStateException(
        "rank %d is in call %d, %s (%s), while this rank is in call %d, %s (%s); every rank must"
                .formatted(
                    rank, other.sequence, other.signature, other.what, sequence, signature, what)
            + " make the same calls in the same order");
  }

  private boolean hasSignature(MemorySegment shown) {
    byte[] mine = signature.getBytes(StandardCharsets.UTF_8);
    return shown.get(SHORT, 8) == mine.length
        && shown.asSlice(TEXT, mine.length).mismatch(MemorySegment.ofArray(mine)) == -1;
  }

  private static Call read(int rank, MemorySegment shown) {
    int first = shown.get(SHORT, 8);
    int second = shown.get(SHORT, 10);
    if (first < 0 || second < 0 || first + second > BYTES - TEXT) {
      throw new IllegalStateException(
          "rank %d showed no call of ours (lengths %d and %d); do all ranks run the same version?"
              .formatted(rank, first, second));
    }
    byte[] text = shown.asSlice(TEXT, first + second).toArray(ValueLayout.JAVA_BYTE);
    return new Call(
        shown.get(LONG, 0),
        new String(Arrays.copyOf(text, first), StandardCharsets.UTF_8),
        new String(text, first, second, StandardCharsets.UTF_8));
  }
}
