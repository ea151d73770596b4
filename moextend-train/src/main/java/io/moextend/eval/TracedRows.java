package io.moextend.eval;

import java.util.Arrays;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Rows of tokens as a model is given them, in plain host memory: [batch, length] each.
 *
 * @param labels null where the file has none
 * @param mask 0 where a position is hidden; null = all seen
 * @param types 1 at image patches, anything else elsewhere; null where nobody says, as where images
 *     stand between marks of the vocabulary
 * @param widened true where an image had one mark in the original's rows
 */
@SuppressWarnings("ArrayRecordComponent") // compared nowhere; handed over, not shared
record TracedRows(
    int batch,
    int length,
    int[] ids,
    int @Nullable [] labels,
    byte @Nullable [] mask,
    long @Nullable [] types,
    boolean widened) {
  /** Positions that Bunny fills rows up with: zeros, where others embed their padding token. */
  int[] blank() {
    byte[] seen = mask;
    return !widened || seen == null
        ? new int[0]
        : IntStream.range(0, seen.length).filter(i -> seen[i] == 0).toArray();
  }

  /** 1 at image patches; null where the model finds them by itself. */
  byte @Nullable [] patches() {
    if (types == null) {
      return null;
    }
    byte[] patches = new byte[types.length];
    for (int i = 0; i < patches.length; i++) {
      patches[i] = (byte) (types[i] == 1 ? 1 : 0);
    }
    return patches;
  }

  /** As the published code hands them to a decoder. */
  void put(TraceOutput out) {
    byte[] seen = mask == null ? new byte[ids.length] : mask;
    if (mask == null) {
      Arrays.fill(seen, (byte) 1);
    }
    out.put("merged.attention_mask", seen, batch, length);
    if (labels != null) {
      out.put("merged.labels", Arrays.stream(labels).asLongStream().toArray(), batch, length);
    }
    if (types != null) {
      out.put("merged.token_type_ids", types, batch, length);
    }
  }
}
