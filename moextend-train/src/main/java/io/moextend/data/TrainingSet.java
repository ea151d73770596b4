package io.moextend.data;

import io.moextend.data.image.ClipPreprocessing;
import io.moextend.data.image.ImageDecoder;
import java.util.AbstractList;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.RandomAccess;
import java.util.function.LongConsumer;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * The samples of some files that fit, as batches. Opening encodes every sample once, so that one
 * that is too long is found before the first step and not in the middle of the night. Any number of
 * threads may make batches; the files stay the caller's to close.
 */
public final class TrainingSet {
  private final List<SampleFile> files;
  private final RowEncoder encoder;
  private final Pictures pictures;
  private final Collator collator;
  private final Fitting fitting;

  private TrainingSet(
      List<SampleFile> files,
      RowEncoder encoder,
      Pictures pictures,
      Collator collator,
      Fitting fitting) {
    this.files = files;
    this.encoder = encoder;
    this.pictures = pictures;
    this.collator = collator;
    this.fitting = fitting;
  }

  /**
   * @param fixedLength every row's length; 0 for that of a batch's longest
   * @param progress told now and then how many samples were looked at
   * @throws DataException if a sample does not fit and such are not to be cut or left out, or none
   *     is left
   */
  public static TrainingSet of(
      List<SampleFile> files,
      RowEncoder encoder,
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
    List<SampleFile> read = List.copyOf(files);
    Fitting fitting = Fitting.of(read, encoder, progress);
    if (fitting.size() == 0) {
      throw new DataException(
          "all %d samples are longer than max length %d; raise it"
              .formatted(total(read), encoder.maxLength()));
    }
    Collator collator = new Collator(encoder.pad(), fixedLength, preprocessing.size());
    return new TrainingSet(
        read, encoder, new Pictures(images, decoder, preprocessing), collator, fitting);
  }

  private static long total(List<SampleFile> files) {
    return files.stream().mapToLong(SampleFile::size).sum();
  }

  /**
   * @param evaluation null where no sample is kept back
   */
  public record Split(TrainingSet training, @Nullable TrainingSet evaluation) {}

  /**
   * Keeps back a share of the samples, drawn by the seed alone.
   *
   * @param share 0 to below 1; rounded to whole samples, at least one where it is positive
   */
  public Split split(double share, long seed) {
    if (share <= 0) {
      return new Split(this, null);
    }
    int kept = (int) Math.max(1, Math.round(share * size()));
    if (kept >= size()) {
      throw new DataException(
          "an evaluation share of %s leaves none of %d samples to train on; take less"
              .formatted(share, size()));
    }
    int[] drawn = new SampleOrder(size(), seed, true).epoch(Long.MAX_VALUE);
    return new Split(
        part(Arrays.copyOfRange(drawn, kept, drawn.length)), part(Arrays.copyOf(drawn, kept)));
  }

  private TrainingSet part(int[] indexes) {
    return new TrainingSet(files, encoder, pictures, collator, fitting.part(indexes));
  }

  /** As {@link RowEncoder#answerEnd}. */
  public int answerEnd() {
    return encoder.answerEnd();
  }

  /** Samples that can be trained on. */
  public int size() {
    return fitting.size();
  }

  /** Samples left out because they are too long. */
  public int skipped() {
    return Math.toIntExact(total(files) - size());
  }

  /** Samples of which nothing is learnt because their rounds do not add up; they stay in. */
  public int doubtful() {
    return fitting.doubtful().length;
  }

  /** The first of them, and why; empty where there are none. */
  public Optional<String> firstDoubt() {
    if (doubtful() == 0) {
      return Optional.empty();
    }
    EncodedSample first = encoded(fitting.doubtful()[0]);
    return Optional.of(first.sample().where() + ": " + first.doubt());
  }

  /** {@link Sample#modalityLength} of every sample, for {@link LengthGroups}; reads the files. */
  public int[] modalityLengths() {
    return IntStream.range(0, size())
        .parallel()
        .map(i -> fitting.sample(files, i).modalityLength())
        .toArray();
  }

  /**
   * @param index among the usable samples, from 0
   */
  public EncodedSample encoded(int index) {
    Sample sample = fitting.sample(files, index);
    return encoder
        .encode(sample)
        .orElseThrow(() -> new IllegalStateException(sample.where() + " fitted before"));
  }

  /**
   * All samples in order. A batch is read when it is asked for, and anew each time.
   *
   * @param rows samples of a batch; the last may have fewer
   */
  public List<Batch> batches(int rows) {
    return new InOrder(rows);
  }

  private final class InOrder extends AbstractList<Batch> implements RandomAccess {
    private final int rows;

    InOrder(int rows) {
      this.rows = rows;
    }

    @Override
    public int size() {
      return Math.ceilDiv(TrainingSet.this.size(), rows);
    }

    @Override
    public Batch get(int index) {
      int from = Math.multiplyExact(Objects.checkIndex(index, size()), rows);
      int to = (int) Math.min(TrainingSet.this.size(), (long) from + rows);
      return batch(IntStream.range(from, to).toArray());
    }
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
