package io.moextend.data.prompted;

import org.jspecify.annotations.Nullable;

/**
 * The input or the target of an example: a text, its ids, or both. Where there are ids they count,
 * and the text is kept for comparing.
 */
@SuppressWarnings("ArrayRecordComponent") // handed over, compared nowhere
public record Side(@Nullable String text, int @Nullable [] ids) {
  public Side {
    if (text == null && ids == null) {
      throw new IllegalArgumentException("neither a text nor ids");
    }
  }

  public static Side of(String text) {
    return new Side(text, null);
  }

  boolean isEmpty() {
    return ids != null ? ids.length == 0 : text == null || text.isEmpty();
  }
}
