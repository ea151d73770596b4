package io.moextend.data;

import io.moextend.data.image.ClipPreprocessing;
import io.moextend.data.image.ImageDecoder;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongConsumer;
import java.util.stream.IntStream;

/**
 * The samples of a file that fit, as batches. Opening encodes every sample once, so that one that
 * is too long is found before the first step and not in the middle of the night. Any number of
 * threads may make batches; the file stays the caller's to close.
 */
public final class TrainingSet {
  private static final int PROGRESS_EVERY = 1000;

  private final SampleFile file;
  private final Encoder encoder;
  private final Pictures pictures;
  private final Collator collator;
  private final int[] usable;

  private TrainingSet(
      SampleFile file, Encoder encoder, Pictures pictures, Collator collator, int[] usable) {
    this.file = file;
    this.encoder = encoder;
    this.pictures = pictures;
    this.collator = collator;
    this.usable = usable;
  }

  /**
   * @param fixedLength every row's length; 0 for that of a batch's longest
   * @param progress told now and then how many samples were looked at
   * @throws DataException if a sample does not fit and such are not to be cut or left out, or none
   *     is left
   */
  public static TrainingSet of(
      SampleFile file,
      Encoder encoder,
      ImageRoot images,
      ImageDecoder decoder,
      ClipPreprocessing preprocessing,
      int fixedLength,
      LongConsumer progress) {
    if (fixedLength != 0 && fixedLength < encoder.maxLength()) {
      throw new DataException(
          "fixed length=%d: must be 0 or at least max length=%d"
              .formatted(fixedLength, encoder.maxLength()));
    }
    int[] usable = fitting(file, encoder, progress);
    if (usable.length == 0) {
      throw new DataException(
          "all %d samples are longer than max length %d; raise it"
              .formatted(file.size(), encoder.maxLength()));
    }
    int pad = encoder.images().tokenizer().pad();
    Collator collator = new Collator(pad, fixedLength, preprocessing.size());
    return new TrainingSet(
        file, encoder, new Pictures(images, decoder, preprocessing), collator, usable);
  }

  /** Looks at every sample, and names the first wrong one however the threads ran. */
  private static int[] fitting(SampleFile file, Encoder encoder, LongConsumer progress) {
    AtomicLong seen = new AtomicLong();
    ConcurrentSkipListMap<Integer, DataException> wrong = new ConcurrentSkipListMap<>();
    int[] usable =
        IntStream.range(0, file.size())
            .parallel()
            .filter(
                index -> {
                  long count = seen.incrementAndGet();
                  if (count % PROGRESS_EVERY == 0) {
                    progress.accept(count);
                  }
                  try {
                    return encoder.encode(file.read(index)).isPresent();
                  } catch (DataException e) {
                    wrong.put(index, e);
                    return false;
                  }
                })
            .toArray();
    if (!wrong.isEmpty()) {
      DataException first = wrong.firstEntry().getValue();
      int more = wrong.size() - 1;
      throw more == 0
          ? first
          : new DataException(
              "%s (and %d samples more are wrong)".formatted(first.getMessage(), more), first);
    }
    return usable;
  }

  /** Samples that can be trained on. */
  public int size() {
    return usable.length;
  }

  /** Samples left out because they are too long. */
  public int skipped() {
    return file.size() - usable.length;
  }

  /**
   * @param index among the usable samples, from 0
   */
  public EncodedSample encoded(int index) {
    Sample sample = file.read(usable[index]);
    return encoder
        .encode(sample)
        .orElseThrow(() -> new IllegalStateException(sample.where() + " fitted before"));
  }

  /**
   * Reads, encodes and decodes some samples.
   *
   * @param indexes among the usable samples
   * @throws DataException if an image cannot be read; names the sample
   */
  public Batch batch(int[] indexes) {
    List<EncodedSample> rows = new ArrayList<>();
    List<Picture> found = new ArrayList<>();
    for (int index : indexes) {
      EncodedSample row = encoded(index);
      rows.add(row);
      row.spans().forEach(span -> found.add(pictures.read(row.sample(), span.path())));
    }
    return collator.collate(rows, found);
  }
}
