package io.moextend.data;

import io.moextend.data.image.ClipPreprocessing;
import io.moextend.data.image.ImageDecoder;
import io.moextend.data.image.ImageException;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
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
  private final ImageRoot images;
  private final ImageDecoder decoder;
  private final ClipPreprocessing preprocessing;
  private final Collator collator;
  private final int[] usable;

  private TrainingSet(
      SampleFile file,
      Encoder encoder,
      ImageRoot images,
      ImageDecoder decoder,
      ClipPreprocessing preprocessing,
      Collator collator,
      int[] usable) {
    this.file = file;
    this.encoder = encoder;
    this.images = images;
    this.decoder = decoder;
    this.preprocessing = preprocessing;
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
    AtomicLong seen = new AtomicLong();
    int[] usable =
        IntStream.range(0, file.size())
            .parallel()
            .filter(
                index -> {
                  long count = seen.incrementAndGet();
                  if (count % PROGRESS_EVERY == 0) {
                    progress.accept(count);
                  }
                  return encoder.encode(file.read(index)).isPresent();
                })
            .toArray();
    if (usable.length == 0) {
      throw new DataException(
          "all %d samples are longer than max length %d; raise it"
              .formatted(file.size(), encoder.maxLength()));
    }
    int pad = encoder.images().tokenizer().pad();
    Collator collator = new Collator(pad, fixedLength, preprocessing.size());
    return new TrainingSet(file, encoder, images, decoder, preprocessing, collator, usable);
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
    List<Picture> pictures = new ArrayList<>();
    for (int index : indexes) {
      EncodedSample row = encoded(index);
      rows.add(row);
      row.spans().forEach(span -> pictures.add(picture(row.sample(), span.path())));
    }
    return collator.collate(rows, pictures);
  }

  private Picture picture(Sample sample, String path) {
    Path image = SampleFile.resolve(images, sample, path);
    try {
      byte[] bytes = ImageDecoder.bytes(image);
      float[] pixels = preprocessing.pixels(decoder.decode(bytes, image.toString()));
      return new Picture(image, sha256(bytes), pixels);
    } catch (ImageException e) {
      throw DataException.at(sample.where(), String.valueOf(e.getMessage()), e);
    }
  }

  private static String sha256(byte[] bytes) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java has SHA-256", e);
    }
  }
}
