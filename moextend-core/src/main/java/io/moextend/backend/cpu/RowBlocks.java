package io.moextend.backend.cpu;

/**
 * How a number of rows is cut into the few row counts that primitives are made for: blocks of 128
 * with the rest in powers of two down to 16. The cut depends on the number alone, never on threads.
 */
final class RowBlocks {
  static final int LARGEST = 128;
  static final int SMALLEST = 16;

  private RowBlocks() {}

  /** Pieces that may run in parallel: full blocks; fewer than 16 rows left over join the last. */
  static int pieces(int rows) {
    int full = rows / LARGEST;
    int rest = rows % LARGEST;
    return rest == 0 ? full : rest < SMALLEST && full > 0 ? full : full + 1;
  }

  /** First row of a piece. */
  static int start(int piece) {
    return piece * LARGEST;
  }

  /** One past the last row of a piece. */
  static int end(int rows, int piece) {
    return piece == pieces(rows) - 1 ? rows : (piece + 1) * LARGEST;
  }

  /** The largest row count there is a primitive for that does not exceed {@code left}, or 0. */
  static int fitting(int left) {
    return left >= LARGEST ? LARGEST : left < SMALLEST ? 0 : Integer.highestOneBit(left);
  }
}
