package io.moextend.adapter;

import io.moextend.checkpoint.CheckpointException;
import io.moextend.checkpoint.TensorData;
import io.moextend.checkpoint.TensorStream;
import io.moextend.checkpoint.WeightSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/**
 * A model with its adapters multiplied into its weights: LoRA's W + alpha / rank · (A B)ᵀ, and
 * (IA)³'s vectors into the rows of the products they follow (and their biases), of feed-forward
 * networks into the columns of what reads the hidden state. Where a family has several products in
 * one matrix, an adapter of one of them changes that one's rows. Computed in F32 and rounded to the
 * weight's own type, by some rows at a time where it is read as a stream. Closes both sources;
 * where {@link #of} refuses, they stay the caller's.
 */
public final class Merged implements WeightSource {
  /** Elements of a weight that are made at once. */
  private static final int PIECE = 1 << 22;

  private final WeightSource base;
  private final WeightSource adapter;
  private final AdapterConfig config;
  private final Map<String, List<MergedRows>> changed;

  private Merged(
      WeightSource base,
      AdapterConfig config,
      WeightSource adapter,
      Map<String, List<MergedRows>> changed) {
    this.base = base;
    this.config = config;
    this.adapter = adapter;
    this.changed = changed;
  }

  /**
   * @param adapter its tensors as memory has them
   * @throws CheckpointException where the method cannot be merged, the base lacks a weight or has
   *     one of other sizes, or the adapter lacks a tensor
   */
  public static Merged of(WeightSource base, AdapterConfig config, WeightSource adapter) {
    if (config.method().isRouted()) {
      throw new CheckpointException(
          "%s: %s cannot be merged into weights: its routers weigh the experts anew for each token;"
                  .formatted(adapter.origin(), config.method().word())
              + " keep the adapter beside its base");
    }
    var changed = new TreeMap<String, List<MergedRows>>();
    for (MergedRows rows : MergedRows.of(base, config, adapter)) {
      changed.computeIfAbsent(rows.weight(), weight -> new ArrayList<>()).add(rows);
    }
    return new Merged(base, config, adapter, changed);
  }

  @Override
  public Set<String> names() {
    return base.names();
  }

  private List<MergedRows> changes(String name) {
    return changed.getOrDefault(name, List.of());
  }

  private List<MergedRows.Change> read(List<MergedRows> parts) {
    return parts.stream().map(part -> part.read(config, adapter)).toList();
  }

  @Override
  public TensorData tensor(String name) {
    TensorData own = base.tensor(name);
    List<MergedRows> parts = changes(name);
    return parts.isEmpty() ? own : rows(own, read(parts), 0, own.shape()[0]);
  }

  @Override
  public TensorStream stream(String name) {
    List<MergedRows> parts = changes(name);
    if (parts.isEmpty()) {
      return base.stream(name);
    }
    TensorData own = base.tensor(name);
    long rows = own.shape()[0];
    long each = Math.max(1, PIECE / Math.max(1, own.length() / Math.max(1, rows)));
    return new TensorStream(
        name,
        own.dtype(),
        own.shape(),
        sink -> {
          List<MergedRows.Change> changes = read(parts);
          for (long from = 0; from < rows; from += each) {
            sink.write(rows(own, changes, from, Math.min(rows, from + each)).bytes());
          }
        });
  }

  private static TensorData rows(
      TensorData own, List<MergedRows.Change> changes, long from, long until) {
    TensorData part = own.rows(from, until);
    float[] values = part.floats();
    int count = (int) (until - from);
    int width = count == 0 ? 0 : values.length / count;
    for (int r = 0; r < count; r++) {
      for (MergedRows.Change change : changes) {
        change.apply(values, r * width, width, (int) from + r);
      }
    }
    return TensorData.of(own.name(), own.dtype(), part.shape(), values);
  }

  @Override
  public String origin() {
    return base.origin() + " merged with " + adapter.origin();
  }

  @Override
  public void close() {
    base.close();
    adapter.close();
  }
}
