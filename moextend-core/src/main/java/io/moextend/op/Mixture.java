package io.moextend.op;

import java.util.Arrays;

/**
 * Which rows of a table are summed with which weights: pooling, resizing, the neighbours of a
 * convolution. Made on the host from sizes alone.
 */
@SuppressWarnings("ArrayRecordComponent") // compared nowhere
public record Mixture(int tableRows, int each, int[] rows, double[] weights) {
  public Mixture {
    if (each < 1 || rows.length != weights.length || rows.length % each != 0) {
      throw new IllegalArgumentException(
          "%d rows and %d weights, %d each".formatted(rows.length, weights.length, each));
    }
  }

  /** How many rows come out. */
  public int results() {
    return rows.length / each;
  }

  /** The same within each of {@code images} tables that lie one below the other. */
  public Mixture repeated(int images) {
    int[] all = new int[Math.multiplyExact(images, rows.length)];
    double[] factors = new double[all.length];
    for (int i = 0; i < images; i++) {
      int at = i * rows.length;
      for (int j = 0; j < rows.length; j++) {
        all[at + j] = rows[j] + i * tableRows;
      }
      System.arraycopy(weights, 0, factors, at, weights.length);
    }
    return new Mixture(Math.multiplyExact(images, tableRows), each, all, factors);
  }

  /** From results back to the table: what a gradient takes. Weights of zero are left out. */
  Mixture transposed() {
    int[] uses = new int[tableRows];
    for (int i = 0; i < rows.length; i++) {
      uses[rows[i]] += weights[i] == 0 ? 0 : 1;
    }
    int most = Math.max(1, Arrays.stream(uses).max().orElse(1));
    int[] from = new int[Math.multiplyExact(tableRows, most)];
    double[] factors = new double[from.length];
    int[] next = new int[tableRows];
    for (int i = 0; i < rows.length; i++) {
      if (weights[i] != 0) {
        int at = rows[i] * most + next[rows[i]]++;
        from[at] = i / each;
        factors[at] = weights[i];
      }
    }
    return new Mixture(results(), most, from, factors);
  }
}
