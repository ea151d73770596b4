package io.moextend.text;

import java.util.List;

/**
 * A text as ids.
 *
 * @param ids the row
 * @param spans its images, in order
 */
@SuppressWarnings("ArrayRecordComponent") // compared nowhere; handed over, not shared
public record EncodedText(int[] ids, List<ImageSpan> spans) {
  public EncodedText {
    spans = List.copyOf(spans);
  }
}
