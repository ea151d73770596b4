package io.moextend.train;

import io.moextend.data.Batch;
import io.moextend.data.BatchLoader;
import io.moextend.data.SampleOrder;
import io.moextend.data.Share;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Rows of {@link TinyBatches} in the order a run takes its samples, through the real loader. */
final class StreamedBatches implements BatchSource<TinyTask.Rows>, AutoCloseable {
  private final TinyBatches rows;
  private final LoadedBatches indexes;
  final List<List<Integer>> taken = new ArrayList<>();

  @SuppressWarnings("MustBeClosedChecker") // LoadedBatches closes its loader
  StreamedBatches(int samples, int rowsOfABatch, Peers peers) {
    this.rows = new TinyBatches(samples, rowsOfABatch, 3);
    var order = new SampleOrder(samples, 42, true);
    var share = new Share(rowsOfABatch, peers.rank(), peers.world());
    this.indexes =
        new LoadedBatches(
            from -> new BatchLoader(StreamedBatches::indexes, order, share, from, 2, 3));
  }

  private static Batch indexes(int[] chosen) {
    int[] none = new int[chosen.length];
    Arrays.fill(none, -100);
    List<String> names = Arrays.stream(chosen).mapToObj(Integer::toString).toList();
    int count = chosen.length;
    return new Batch(count, 1, chosen, none, new byte[count], new float[0], 1, List.of(), names, 0);
  }

  @Override
  public TinyTask.Rows next() {
    int[] chosen = indexes.next().ids();
    taken.add(Arrays.stream(chosen).boxed().toList());
    return rows.rows(chosen);
  }

  @Override
  public Position position() {
    return indexes.position();
  }

  @Override
  public void seek(Position position) {
    indexes.seek(position);
  }

  @Override
  public List<String> samples(TinyTask.Rows batch) {
    return batch.samples();
  }

  @Override
  public void close() {
    indexes.close();
  }
}
