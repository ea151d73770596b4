package io.moextend.data;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.text.EncodedText;
import io.moextend.text.ImageSpan;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * The first user turn of each sample, as {@link PromptEncoder#firstTurn} writes it, in batches: the
 * texts over which routes are counted. Opening encodes every text once and looks for every image,
 * so that a wrong sample is found before the model runs. Any number of threads may make batches;
 * the file stays the caller's to close.
 */
public final class FirstTurns {
  private final SampleFile file;
  private final PromptEncoder encoder;
  private final @Nullable Pictures pictures;
  private final int[] lengths; // ids of each sample

  private FirstTurns(
      SampleFile file, PromptEncoder encoder, @Nullable Pictures pictures, int[] lengths) {
    this.file = file;
    this.encoder = encoder;
    this.pictures = pictures;
    this.lengths = lengths;
  }

  /**
   * @param samples how many from the file's beginning; all where the file has fewer
   * @param encoder its max length is that of the longest text
   * @param pictures null for a model that takes no images
   * @param vocabulary ids the model knows
   * @throws DataException naming the first sample that is too long, has an id beyond the
   *     vocabulary, or an image that is missing or that the model cannot take
   */
  public static FirstTurns of(
      SampleFile file,
      int samples,
      PromptEncoder encoder,
      @Nullable Pictures pictures,
      int vocabulary) {
    if (samples < 1) {
      throw new DataException("samples=%d: must be at least 1".formatted(samples));
    }
    int[] lengths = new int[Math.min(samples, file.size())];
    for (int i = 0; i < lengths.length; i++) {
      Sample sample = file.read(i);
      EncodedText text = encoder.firstTurn(sample);
      checkIds(sample, text.ids(), encoder.maxLength(), vocabulary);
      checkImages(sample, text.spans(), pictures);
      lengths[i] = text.ids().length;
    }
    return new FirstTurns(file, encoder, pictures, lengths);
  }

  private static void checkIds(Sample sample, int[] ids, int longest, int vocabulary) {
    if (ids.length > longest) {
      throw DataException.at(
          sample.where(),
          "its first turn has %d ids and the model takes %d; shorten it or take it out"
              .formatted(ids.length, longest),
          null);
    }
    int largest = Arrays.stream(ids).max().orElse(0);
    if (largest >= vocabulary) {
      throw DataException.at(
          sample.where(),
          "its first turn has the id %d and the model knows %d; is the tokenizer the model's?"
              .formatted(largest, vocabulary),
          null);
    }
  }

  private static void checkImages(
      Sample sample, List<ImageSpan> spans, @Nullable Pictures pictures) {
    for (ImageSpan span : spans) {
      if (pictures == null) {
        throw DataException.at(
            sample.where(),
            "it has the image %s and the model takes none; name a model with a vision part"
                .formatted(span.path()),
            null);
      }
      SampleFile.resolve(pictures.root(), sample, span.path());
    }
  }

  /** Number of samples. */
  public int size() {
    return lengths.length;
  }

  /** Ids of all samples together, image slots among them. */
  public long tokens() {
    return Arrays.stream(lengths).asLongStream().sum();
  }

  /**
   * All samples once, those of like length together so that little is padded, the longest first so
   * that memory that does not suffice shows at once.
   *
   * @param rows samples of a batch; the last may have fewer
   * @return the indexes of each batch's samples
   */
  public List<int[]> batches(int rows) {
    if (rows < 1) {
      throw new DataException("batch=%d: must be at least 1 sample".formatted(rows));
    }
    int[] order =
        IntStream.range(0, lengths.length)
            .boxed()
            .sorted(Comparator.comparingInt((Integer i) -> -lengths[i]))
            .mapToInt(Integer::intValue)
            .toArray();
    List<int[]> batches = new ArrayList<>();
    for (int at = 0; at < order.length; at += rows) {
      batches.add(Arrays.copyOfRange(order, at, Math.min(order.length, at + rows)));
    }
    return batches;
  }

  /**
   * All samples once, as {@link #batches} has them, each batch made while the one before is used.
   */
  @MustBeClosed
  public BatchesAhead ahead(int rows) {
    return new BatchesAhead(batches(rows), this::batch);
  }

  /**
   * Some samples as rows; every id counts in the mask, also one equal to the padding id, as in the
   * original. There are no labels.
   *
   * @throws DataException if an image cannot be read; names the sample
   */
  public Batch batch(int[] indexes) {
    List<EncodedSample> rows = new ArrayList<>();
    List<Picture> found = new ArrayList<>();
    for (int index : indexes) {
      Sample sample = file.read(index);
      EncodedText text = encoder.firstTurn(sample);
      rows.add(row(sample, text));
      if (pictures != null) {
        for (ImageSpan span : text.spans()) {
          found.add(pictures.read(sample, span.path()));
        }
      }
    }
    int size = pictures == null ? 1 : pictures.preprocessing().size();
    return new Collator(encoder.pad(), 0, size).collate(rows, found);
  }

  private static EncodedSample row(Sample sample, EncodedText text) {
    int[] labels = new int[text.ids().length];
    byte[] mask = new byte[labels.length];
    Arrays.fill(labels, EncodedSample.IGNORED);
    Arrays.fill(mask, (byte) 1);
    return new EncodedSample(sample, text.ids(), labels, mask, text.spans());
  }
}
