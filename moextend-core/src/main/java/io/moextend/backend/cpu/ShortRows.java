package io.moextend.backend.cpu;

/**
 * Rows of a few numbers each, {@link ScoreLoops#ROWS} at a time turned on their side: as wide as a
 * row is, most of a vector would be empty.
 */
final class ShortRows {
  /** Wider rows fill vectors well enough themselves. */
  static final int WIDEST = 128;

  private final Lane lane;
  private final int width;
  private final int n;
  private final long first;

  /** Work on {@code n} rows. */
  @FunctionalInterface
  interface Task {
    void run(ShortRows rows);
  }

  private ShortRows(Lane lane, int width, long firstRow, int n) {
    this.lane = lane;
    this.width = width;
    this.n = n;
    this.first = firstRow * width;
  }

  /** Runs a task for all rows. */
  static void each(CpuDevice cpu, long rows, int width, Task task) {
    int blocks = CpuDevice.count((rows + ScoreLoops.ROWS - 1) / ScoreLoops.ROWS);
    cpu.forRows(
        blocks,
        (long) ScoreLoops.ROWS * width,
        (lane, block) -> {
          long from = (long) block * ScoreLoops.ROWS;
          int n = (int) Math.min(ScoreLoops.ROWS, rows - from);
          task.run(new ShortRows(lane, width, from, n));
        });
  }

  /** Number of the first row. */
  long firstRow() {
    return first / width;
  }

  /** How many there are. */
  int count() {
    return n;
  }

  /** A buffer for a column. */
  Operand column() {
    return Operand.buffer(lane, 3, ScoreLoops.ROWS);
  }

  /**
   * These rows of an array, turned.
   *
   * @param slot 0 or 1, for one of two arrays
   */
  Operand turned(int slot, CpuArray from) {
    Operand rows = Operand.in(lane, 4, from, first, n * width).wide(lane, 5, n * width);
    Operand turned = Operand.buffer(lane, slot, width * ScoreLoops.ROWS);
    ScoreLoops.turn(rows.address(), width, n, turned.address());
    return turned;
  }

  /** Writes turned rows to an array. */
  void turnBack(Operand turned, CpuArray to) {
    Operand rows = Operand.out(lane, 4, to, first, n * width);
    Operand wide = rows.wideOut(lane, 5, n * width);
    ScoreLoops.turnBack(turned.address(), width, n, wide.address());
    rows.take(wide, n * width);
    rows.finish(lane, to, first, n * width);
  }
}
