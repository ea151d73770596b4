package io.moextend.backend.cpu;

import java.util.ArrayList;
import java.util.List;

/**
 * How a product is cut into tasks: blocks of rows, panels of columns. Large blocks repack weights
 * less often, small ones keep more workers busy. By the result's size alone, never by the number of
 * threads.
 *
 * @param rows of a block at most
 * @param columns of a panel at most
 */
record Cut(int rows, int columns) {
  private static final int LARGEST = 512;
  private static final int FEWEST_ROWS = 128;
  private static final int FEWEST_COLUMNS = 64;

  /** Up to so many rows a block may have any number of them. */
  private static final int ANY_NUMBER = 64;

  /** Tasks that keep the workers of a large machine busy. */
  private static final int ENOUGH = 16;

  /**
   * What one part of a stack contributes to a panel.
   *
   * @param first of the columns of x it is multiplied with
   * @param inner how many these are
   */
  record Factor(int first, int inner, Gemm.Layout layout, long address) {}

  /**
   * Columns of a result, which are a sum over {@code factors}.
   *
   * @param first column
   */
  record Panel(int first, int columns, List<Factor> factors) {}

  /**
   * Columns are cut before rows: a panel's weights are repacked for each block of rows, and their
   * way from memory is what few rows wait for.
   *
   * @param offsets where each group's rows begin, and the end
   * @param width columns of the result
   */
  static Cut of(int[] offsets, int width) {
    int rows = LARGEST;
    int columns = LARGEST;
    while (tasks(offsets, width, rows, columns) < ENOUGH) {
      if (columns > FEWEST_COLUMNS) {
        columns /= 2;
      } else if (rows > FEWEST_ROWS) {
        rows /= 2;
      } else {
        break;
      }
    }
    return new Cut(rows, columns);
  }

  private static long tasks(int[] offsets, int width, int rows, int columns) {
    long blocks = 0;
    for (int g = 0; g + 1 < offsets.length; g++) {
      blocks += Math.ceilDiv(offsets[g + 1] - offsets[g], rows);
    }
    return blocks * Math.ceilDiv(width, columns);
  }

  /** How many of a group's last {@code left} rows the next block takes: all blocks are alike. */
  int block(int left) {
    int each = Math.ceilDiv(left, Math.ceilDiv(left, rows));
    int most = Math.min(left, Gemm.evenRows(each));
    return most <= ANY_NUMBER ? most : most - most % Gemm.ROW_STEP;
  }

  /** For x Wᵀ each part of the stack gives columns of its own; for x W all parts are summed up. */
  List<Panel> panels(PlainMatrix matrix, boolean transposed) {
    return transposed ? panelsOfParts(matrix) : panelsOverParts(matrix);
  }

  private List<Panel> panelsOfParts(PlainMatrix matrix) {
    int in = (int) matrix.in();
    var layout = new Gemm.Layout(1, in);
    var panels = new ArrayList<Panel>();
    for (PlainMatrix.Part part : matrix.parts()) {
      for (int row = 0; row < part.rows(); row += columns) {
        long address = part.weights().address((long) row * in);
        panels.add(
            new Panel(
                part.first() + row,
                Math.min(columns, part.rows() - row),
                List.of(new Factor(0, in, layout, address))));
      }
    }
    return panels;
  }

  private List<Panel> panelsOverParts(PlainMatrix matrix) {
    int in = (int) matrix.in();
    var layout = new Gemm.Layout(in, 1);
    var panels = new ArrayList<Panel>();
    for (int first = 0; first < in; first += columns) {
      var factors = new ArrayList<Factor>();
      for (PlainMatrix.Part part : matrix.parts()) {
        factors.add(new Factor(part.first(), part.rows(), layout, part.weights().address(first)));
      }
      panels.add(new Panel(first, Math.min(columns, in - first), factors));
    }
    return panels;
  }
}
