package io.moextend.adapter;

import io.moextend.checkpoint.CheckpointException;
import io.moextend.checkpoint.TensorData;
import io.moextend.checkpoint.WeightSource;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/**
 * The rows of one tensor of a base that one module's adapter changes, checked against both files'
 * sizes before a number is read.
 *
 * @param module whose adapter it is
 * @param weight name of the base's tensor; a bias where rows are multiplied
 * @param from first row
 * @param rows how many
 */
record MergedRows(String module, String weight, long from, long rows) {
  /** Products that some families have in one matrix, in the order in which they stand there. */
  private static final Map<String, String> FUSED =
      Map.of(
          "q_proj", "qkv_proj",
          "k_proj", "qkv_proj",
          "v_proj", "qkv_proj",
          "gate_proj", "gate_up_proj",
          "up_proj", "gate_up_proj");

  /** How rows are changed. */
  sealed interface Change {
    /**
     * Changes one row.
     *
     * @param at where the row begins in {@code values}
     * @param row its number in the whole tensor; others than the adapter's are left alone
     */
    void apply(float[] values, int at, int width, int row);
  }

  /**
   * @param a [rank, width]
   * @param b [rank, rows], scaled
   */
  private record LowRank(float[] a, float[] b, int rank, int from, int rows) implements Change {
    @Override
    public void apply(float[] values, int at, int width, int row) {
      if (row < from || row >= from + rows) {
        return;
      }
      for (int k = 0; k < rank; k++) {
        float factor = b[k * rows + row - from];
        for (int i = 0; i < width; i++) {
          values[at + i] += factor * a[k * width + i];
        }
      }
    }
  }

  private record OfRows(float[] factors, int from) implements Change {
    @Override
    public void apply(float[] values, int at, int width, int row) {
      if (row < from || row >= from + factors.length) {
        return;
      }
      for (int i = 0; i < width; i++) {
        values[at + i] *= factors[row - from];
      }
    }
  }

  private record OfColumns(float[] factors) implements Change {
    @Override
    public void apply(float[] values, int at, int width, int row) {
      for (int i = 0; i < width; i++) {
        values[at + i] *= factors[i];
      }
    }
  }

  /**
   * Where an adapter belongs.
   *
   * @param config of a method that can be merged
   * @throws CheckpointException where a tensor is missing, too many, or of other sizes
   */
  static List<MergedRows> of(WeightSource base, AdapterConfig config, WeightSource adapter) {
    Set<String> wanted =
        config.method().isAdditive()
            ? Set.of(SiteTensor.A, SiteTensor.B)
            : Set.of(SiteTensor.SCALING);
    var modules = new TreeSet<String>();
    for (String name : adapter.names()) {
      int dot = name.lastIndexOf('.');
      if (!wanted.contains(name.substring(dot + 1))) {
        throw CheckpointException.ofTensor(
            adapter.origin(), name, "is none of " + config.method().word() + "'s");
      }
      modules.add(name.substring(0, dot));
    }
    var all = new ArrayList<MergedRows>();
    for (String module : modules) {
      for (String suffix : new TreeSet<>(wanted)) {
        if (!adapter.names().contains(module + "." + suffix)) {
          throw CheckpointException.ofTensor(
              adapter.origin(), module + "." + suffix, "is missing; copy the adapter anew");
        }
      }
      all.addAll(new Fit(base, config, adapter, module).rows());
    }
    return all;
  }

  /** One module's adapter and the base. */
  private record Fit(WeightSource base, AdapterConfig config, WeightSource adapter, String module) {
    List<MergedRows> rows() {
      return config.method().isAdditive() ? lowRank() : vectors();
    }

    private List<MergedRows> lowRank() {
      long[] a = adapter.tensor(module + "." + SiteTensor.A).shape();
      long[] b = adapter.tensor(module + "." + SiteTensor.B).shape();
      boolean ranked = a.length == 2 && b.length == 2 && a[0] == b[0] && a[0] == config.rank();
      if (!ranked) {
        throw CheckpointException.ofTensor(
            adapter.origin(),
            module + "." + SiteTensor.A,
            "and %s are %s and %s, not of rank %d"
                .formatted(SiteTensor.B, Arrays.toString(a), Arrays.toString(b), config.rank()));
      }
      MergedRows found = place(module, b[1]);
      requireSizes(found, a[1]);
      return List.of(found);
    }

    private List<MergedRows> vectors() {
      long size = adapter.tensor(module + "." + SiteTensor.SCALING).length();
      if (Targets.inFeedForward(module)) {
        // what is multiplied after wi_0, wo reads
        String weight = PeftTensors.reader(module) + ".weight";
        requireThere(weight);
        var found = new MergedRows(module, weight, 0, base.tensor(weight).shape()[0]);
        requireSizes(found, size);
        return List.of(found);
      }
      MergedRows found = place(module, size);
      requireSizes(found, base.tensor(found.weight()).shape()[1]);
      String bias = found.weight().replaceAll("weight$", "bias");
      return base.names().contains(bias)
          ? List.of(found, new MergedRows(module, bias, found.from(), size))
          : List.of(found);
    }

    /** Of a product {@code out} wide: a matrix of its own, or some rows of one. */
    private MergedRows place(String product, long out) {
      String own = product + ".weight";
      String last = Targets.last(product);
      String fused =
          product.substring(0, product.length() - last.length())
              + FUSED.getOrDefault(last, last)
              + ".weight";
      if (base.names().contains(own) || !base.names().contains(fused)) {
        requireThere(own);
        return new MergedRows(module, own, 0, out);
      }
      long rows = base.tensor(fused).shape()[0];
      long from =
          switch (last) {
            case "k_proj" -> rows - 2 * out;
            case "v_proj", "up_proj" -> rows - out;
            default -> 0;
          };
      return new MergedRows(module, fused, from, out);
    }

    private void requireThere(String weight) {
      if (!base.names().contains(weight)) {
        throw CheckpointException.ofTensor(
            base.origin(),
            weight,
            "is not there to merge the adapter of " + module + " into; another model's?");
      }
    }

    private void requireSizes(MergedRows found, long width) {
      long[] shape = base.tensor(found.weight()).shape();
      boolean whole = shape.length == 2 && found.weight().equals(module + ".weight");
      boolean fits =
          shape.length == 2
              && shape[1] == width
              && found.from() >= 0
              && (whole ? shape[0] == found.rows() : found.from() + found.rows() <= shape[0]);
      if (!fits) {
        throw CheckpointException.ofTensor(
            base.origin(),
            found.weight(),
            "%s is of other sizes than the adapter of %s, [%d, %d]; another model's?"
                .formatted(Arrays.toString(shape), module, found.rows(), width));
      }
    }
  }

  /** The adapter's numbers. */
  Change read(AdapterConfig config, WeightSource adapter) {
    if (config.method().isAdditive()) {
      TensorData b = adapter.tensor(module + "." + SiteTensor.B);
      float[] scaled = b.floats();
      for (int i = 0; i < scaled.length; i++) {
        scaled[i] *= (float) config.scale();
      }
      float[] a = adapter.tensor(module + "." + SiteTensor.A).floats();
      return new LowRank(a, scaled, (int) b.shape()[0], (int) from, (int) rows);
    }
    float[] factors = adapter.tensor(module + "." + SiteTensor.SCALING).floats();
    return Targets.inFeedForward(module) ? new OfColumns(factors) : new OfRows(factors, (int) from);
  }
}
