package io.moextend.data;

import io.moextend.text.ImageSpan;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Rows of unequal length to one batch, padded on the right.
 *
 * @param pad id of the filler
 * @param fixedLength every row's length, as published; 0 for that of the longest
 * @param imageSize pixels a side
 */
public record Collator(int pad, int fixedLength, int imageSize) {
  public Collator {
    if (pad < 0 || fixedLength < 0 || imageSize < 1) {
      throw new DataException(
          "pad=%d, fixed length=%d, image size=%d: none may be negative, the last not 0"
              .formatted(pad, fixedLength, imageSize));
    }
  }

  /**
   * @param samples at least one
   * @param pictures of all their images, row by row
   */
  public Batch collate(List<EncodedSample> samples, List<Picture> pictures) {
    int longest = samples.stream().mapToInt(EncodedSample::length).max().orElse(0);
    int length = fixedLength == 0 ? longest : fixedLength;
    if (samples.isEmpty() || longest > length) {
      throw new IllegalArgumentException(
          "%d rows of up to %d ids for a batch of length %d"
              .formatted(samples.size(), longest, length));
    }
    int positions = Math.multiplyExact(samples.size(), length);
    int[] ids = new int[positions];
    int[] labels = new int[positions];
    byte[] mask = new byte[positions];
    Arrays.fill(ids, pad);
    Arrays.fill(labels, EncodedSample.IGNORED);
    List<Batch.Image> images = new ArrayList<>();
    int lossPositions = 0;
    for (int row = 0; row < samples.size(); row++) {
      EncodedSample sample = samples.get(row);
      System.arraycopy(sample.ids(), 0, ids, row * length, sample.length());
      System.arraycopy(sample.labels(), 0, labels, row * length, sample.length());
      System.arraycopy(sample.mask(), 0, mask, row * length, sample.length());
      for (ImageSpan span : sample.spans()) {
        Picture picture = pictures.get(images.size());
        images.add(
            new Batch.Image(row, span.firstSlot(), span.slots(), picture.file(), picture.sha256()));
      }
      lossPositions += sample.lossPositions();
    }
    return new Batch(
        samples.size(),
        length,
        ids,
        labels,
        mask,
        pixels(pictures),
        imageSize,
        images,
        samples.stream().map(sample -> sample.sample().where()).toList(),
        lossPositions);
  }

  private float[] pixels(List<Picture> pictures) {
    int each = 3 * imageSize * imageSize;
    float[] out = new float[Math.multiplyExact(each, pictures.size())];
    for (int i = 0; i < pictures.size(); i++) {
      System.arraycopy(pictures.get(i).pixels(), 0, out, i * each, each);
    }
    return out;
  }
}
