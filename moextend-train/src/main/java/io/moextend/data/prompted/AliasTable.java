package io.moextend.data.prompted;

import java.util.ArrayDeque;
import java.util.stream.DoubleStream;

/**
 * Draws one of some things by their weights in constant time (Walker's method, as Vose builds it).
 */
final class AliasTable {
  private final double[] own;
  private final int[] other;

  /**
   * @param weights positive
   */
  AliasTable(double[] weights) {
    int n = weights.length;
    own = new double[n];
    other = new int[n];
    double sum = DoubleStream.of(weights).sum();
    var small = new ArrayDeque<Integer>();
    var large = new ArrayDeque<Integer>();
    for (int i = 0; i < n; i++) {
      own[i] = weights[i] / sum * n;
      (own[i] < 1 ? small : large).add(i);
    }
    while (!small.isEmpty() && !large.isEmpty()) {
      int less = small.remove();
      int more = large.element();
      other[less] = more;
      own[more] -= 1 - own[less];
      if (own[more] < 1) {
        small.add(large.remove());
      }
    }
    small.forEach(i -> own[i] = 1); // what rounding left over
    large.forEach(i -> own[i] = 1);
  }

  /**
   * @param fraction from 0 to below 1
   */
  int draw(double fraction) {
    double scaled = fraction * own.length;
    int column = (int) scaled;
    return scaled - column < own[column] ? column : other[column];
  }
}
