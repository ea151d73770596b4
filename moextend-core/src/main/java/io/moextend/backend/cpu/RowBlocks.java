package io.moextend.backend.cpu;

/** The fewest rows that products over rows are made for. */
final class RowBlocks {
  static final int SMALLEST = 16;

  private RowBlocks() {}
}
