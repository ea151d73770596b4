package io.moextend.data;

import io.moextend.text.ImageSpan;
import java.util.List;

/**
 * A sample as a row, not padded yet.
 *
 * @param ids [length]
 * @param labels [length], {@link #IGNORED} where nothing is learnt; the label at t is predicted
 *     from the ids before t
 * @param mask [length], 0 where the id is the padding id: so too at the closing {@code </s>} of a
 *     tokenizer that pads with it, as in the original
 * @param spans its images, in order
 * @param doubt why nothing of it is learnt although nothing forbids it; empty where all is well
 */
@SuppressWarnings("ArrayRecordComponent") // compared nowhere; handed over, not shared
public record EncodedSample(
    Sample sample, int[] ids, int[] labels, byte[] mask, List<ImageSpan> spans, String doubt) {
  /** Label of a position that is not learnt. */
  public static final int IGNORED = -100;

  public EncodedSample {
    spans = List.copyOf(spans);
    if (labels.length != ids.length || mask.length != ids.length) {
      throw new IllegalArgumentException(
          "%d ids, %d labels, %d mask".formatted(ids.length, labels.length, mask.length));
    }
  }

  /** A row without a doubt. */
  public EncodedSample(Sample sample, int[] ids, int[] labels, byte[] mask, List<ImageSpan> spans) {
    this(sample, ids, labels, mask, spans, "");
  }

  public int length() {
    return ids.length;
  }

  /** Positions that count in the loss: labelled ones behind the first. */
  public int lossPositions() {
    int count = 0;
    for (int t = 1; t < labels.length; t++) {
      count += labels[t] == IGNORED ? 0 : 1;
    }
    return count;
  }
}
