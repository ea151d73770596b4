package io.moextend.text;

import java.util.List;
import java.util.stream.IntStream;

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

  /** Positions that image patches overwrite, image after image. */
  public int[] imagePositions() {
    return spans.stream()
        .flatMapToInt(span -> IntStream.range(span.firstSlot(), span.end()))
        .toArray();
  }
}
