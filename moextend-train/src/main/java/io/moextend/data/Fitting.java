package io.moextend.data;

import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.ConcurrentSkipListSet;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongConsumer;
import java.util.stream.IntStream;
import java.util.stream.LongStream;

/**
 * Which samples of some files fit.
 *
 * @param places of those that do, in order: number of the file · 2^32 + index in it
 * @param doubtful indexes among them, in order, of which nothing is learnt although they fit
 */
@SuppressWarnings("ArrayRecordComponent") // compared nowhere; handed over, not shared
record Fitting(long[] places, int[] doubtful) {
  private static final int PROGRESS_EVERY = 1000;

  /** Encodes every sample once, and names the first wrong one however the threads ran. */
  static Fitting of(List<SampleFile> files, RowEncoder encoder, LongConsumer progress) {
    AtomicLong seen = new AtomicLong();
    ConcurrentSkipListMap<Long, DataException> wrong = new ConcurrentSkipListMap<>();
    ConcurrentSkipListSet<Long> doubtful = new ConcurrentSkipListSet<>();
    long[] places =
        IntStream.range(0, files.size())
            .boxed()
            .flatMapToLong(
                f -> LongStream.range(0, files.get(f).size()).map(i -> ((long) f << 32) + i))
            .parallel()
            .filter(
                place -> {
                  long count = seen.incrementAndGet();
                  if (count % PROGRESS_EVERY == 0) {
                    progress.accept(count);
                  }
                  try {
                    var row = encoder.encode(sample(files, place));
                    row.filter(one -> !one.doubt().isEmpty()).ifPresent(_ -> doubtful.add(place));
                    return row.isPresent();
                  } catch (DataException e) {
                    wrong.put(place, e);
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
    return new Fitting(
        places, doubtful.stream().mapToInt(place -> Arrays.binarySearch(places, place)).toArray());
  }

  private static Sample sample(List<SampleFile> files, long place) {
    return files.get((int) (place >>> 32)).read((int) place);
  }

  int size() {
    return places.length;
  }

  /**
   * @param index among those that fit
   */
  Sample sample(List<SampleFile> files, int index) {
    return sample(files, places[index]);
  }

  /** Some of them, in the files' order. */
  Fitting part(int[] indexes) {
    int[] sorted = Arrays.stream(indexes).sorted().toArray();
    return new Fitting(
        Arrays.stream(sorted).mapToLong(i -> places[i]).toArray(),
        IntStream.range(0, sorted.length)
            .filter(i -> Arrays.binarySearch(doubtful, sorted[i]) >= 0)
            .toArray());
  }
}
