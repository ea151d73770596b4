package io.moextend.adapter;

import io.moextend.checkpoint.CheckpointException;
import io.moextend.checkpoint.TensorData;
import io.moextend.checkpoint.TensorStream;
import io.moextend.checkpoint.WeightSource;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/**
 * A model with its adapters multiplied into its weights: LoRA's W + alpha / rank · (A B)ᵀ, and
 * (IA)³'s vectors into the rows of the products they follow (and their biases), of feed-forward
 * networks into the columns of what reads the hidden state. Computed in F32 and rounded to the
 * weight's own type, by some rows at a time where it is read as a stream. Closes both sources;
 * where {@link #of} refuses, they stay the caller's.
 */
public final class Merged implements WeightSource {
  /** Elements of a weight that are made at once. */
  private static final int PIECE = 1 << 22;

  /** How one tensor of the base is changed. */
  private sealed interface Change {
    /**
     * @param a [rank, in]
     * @param b [rank, out], scaled
     */
    record LowRank(float[] a, float[] b, int rank) implements Change {}

    record Rows(float[] factors) implements Change {}

    record Columns(float[] factors) implements Change {}
  }

  private final WeightSource base;
  private final WeightSource adapter;
  private final AdapterConfig config;
  private final Map<String, String> changed = new TreeMap<>();

  private Merged(WeightSource base, AdapterConfig config, WeightSource adapter) {
    this.base = base;
    this.config = config;
    this.adapter = adapter;
  }

  /**
   * @param adapter its tensors as memory has them
   * @throws CheckpointException where the method cannot be merged, or the base lacks a weight
   */
  public static Merged of(WeightSource base, AdapterConfig config, WeightSource adapter) {
    if (config.method().isRouted()) {
      throw new CheckpointException(
          "%s: %s cannot be merged into weights: its routers weigh the experts anew for each token;"
                  .formatted(adapter.origin(), config.method().word())
              + " keep the adapter beside its base");
    }
    var merged = new Merged(base, config, adapter);
    for (String name : adapter.names()) {
      String module = name.substring(0, name.lastIndexOf('.'));
      merged.enter(module, name);
    }
    return merged;
  }

  private void enter(String module, String name) {
    String weight = target(module) + ".weight";
    if (!base.names().contains(weight)) {
      throw CheckpointException.ofTensor(
          base.origin(), weight, "is not there to merge " + name + " into; another model's?");
    }
    changed.put(weight, module);
    String bias = module + ".bias";
    if (!config.method().isAdditive() && base.names().contains(bias)) {
      changed.put(bias, module);
    }
  }

  /** Which weight takes a module's adapter in: what is multiplied after wi_0, wo reads. */
  private String target(String module) {
    return config.method().isAdditive() ? module : PeftTensors.reader(module);
  }

  private Change change(String module, String weight) {
    if (config.method().isAdditive()) {
      TensorData b = adapter.tensor(module + "." + SiteTensor.B);
      float[] scaled = b.floats();
      for (int i = 0; i < scaled.length; i++) {
        scaled[i] *= (float) config.scale();
      }
      float[] a = adapter.tensor(module + "." + SiteTensor.A).floats();
      return new Change.LowRank(a, scaled, (int) b.shape()[0]);
    }
    float[] factors = adapter.tensor(module + "." + SiteTensor.SCALING).floats();
    return Targets.inFeedForward(module) && weight.endsWith(".weight")
        ? new Change.Columns(factors)
        : new Change.Rows(factors);
  }

  @Override
  public Set<String> names() {
    return base.names();
  }

  @Override
  public TensorData tensor(String name) {
    TensorData own = base.tensor(name);
    String module = changed.get(name);
    return module == null ? own : rows(own, change(module, name), 0, own.shape()[0]);
  }

  @Override
  public TensorStream stream(String name) {
    String module = changed.get(name);
    if (module == null) {
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
          Change change = change(module, name);
          for (long from = 0; from < rows; from += each) {
            sink.write(rows(own, change, from, Math.min(rows, from + each)).bytes());
          }
        });
  }

  private TensorData rows(TensorData own, Change change, long from, long until) {
    TensorData part = own.rows(from, until);
    float[] values = part.floats();
    int count = (int) (until - from);
    int width = count == 0 ? 0 : values.length / count;
    int rows = (int) own.shape()[0];
    requireFit(own.name(), change, rows, width);
    for (int r = 0; r < count; r++) {
      apply(change, values, r * width, width, (int) from + r, rows);
    }
    return TensorData.of(own.name(), own.dtype(), part.shape(), values);
  }

  private void requireFit(String name, Change change, int rows, int width) {
    boolean fits =
        switch (change) {
          case Change.LowRank(float[] a, float[] b, int rank) ->
              a.length == rank * width && b.length == rank * rows;
          case Change.Rows(float[] factors) -> factors.length == rows;
          case Change.Columns(float[] factors) -> factors.length == width;
        };
    if (!fits) {
      throw CheckpointException.ofTensor(
          adapter.origin(),
          name,
          "[%d, %d] is of other sizes than its adapter".formatted(rows, width));
    }
  }

  private static void apply(Change change, float[] values, int at, int width, int row, int rows) {
    switch (change) {
      case Change.LowRank(float[] a, float[] b, int rank) -> {
        for (int k = 0; k < rank; k++) {
          float factor = b[k * rows + row];
          for (int i = 0; i < width; i++) {
            values[at + i] += factor * a[k * width + i];
          }
        }
      }
      case Change.Rows(float[] factors) -> {
        for (int i = 0; i < width; i++) {
          values[at + i] *= factors[row];
        }
      }
      case Change.Columns(float[] factors) -> {
        for (int i = 0; i < width; i++) {
          values[at + i] *= factors[i];
        }
      }
    }
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
