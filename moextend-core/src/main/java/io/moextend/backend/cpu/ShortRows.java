package io.moextend.backend.cpu;

/**
 * Rows of a few numbers each, {@link ScoreLoops#ROWS} at a time turned on their side: as wide as a
 * row is, most of a vector would be empty.
 */
final class ShortRows {
  /** Wider rows fill vectors well enough themselves. */
  static final int WIDEST = 128;

  // The buffers from here on: two for each array that is turned, and two to turn one back.
  private static final int TURNED = 6;
  private static final int BACK = 10;
  private static final int COLUMNS = 12;

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

  /**
   * A buffer for {@code k} columns of whole numbers.
   *
   * @return [k, ROWS]
   */
  Operand columns(int k) {
    return Operand.buffer(lane, COLUMNS, places(k) * ScoreLoops.ROWS);
  }

  /** Writes columns of whole numbers to an array of as many. */
  void write(Operand columns, CpuArray to) {
    int k = CpuDevice.count(to.dim(1));
    turnBack(columns.address(), k, to.address(first / width * k));
  }

  /**
   * These rows of an array, turned.
   *
   * @param slot 0 or 1, for one of two arrays
   */
  Operand turned(int slot, CpuArray from) {
    Operand rows = Operand.in(lane, 4, from, first, n * width).wide(lane, 5, n * width);
    int places = places(width);
    Operand to = Operand.buffer(lane, TURNED + 2 * slot, places * ScoreLoops.ROWS);
    Operand other = Operand.buffer(lane, TURNED + 2 * slot + 1, places * ScoreLoops.ROWS);
    if (places > Vectors.LANES) {
      ScoreLoops.turn(rows.address(), width, n, to.address());
      return to;
    }
    long at = rows.address();
    if (n < ScoreLoops.ROWS || places > width || places == 1) {
      ScoreLoops.space(at, width, other.address(), places, n);
      at = other.address();
    }
    for (int stage = places; stage > 1; stage /= 2) {
      Operand next = at == to.address() ? other : to;
      ScoreLoops.part(at, next.address(), places * ScoreLoops.ROWS);
      at = next.address();
    }
    return at == other.address() ? other : to;
  }

  /** Writes turned rows to an array. */
  void turnBack(Operand turned, CpuArray to) {
    Operand rows = Operand.out(lane, 4, to, first, n * width);
    Operand wide = rows.wideOut(lane, 5, n * width);
    turnBack(turned.address(), width, wide.address());
    rows.take(wide, n * width);
    rows.finish(lane, to, first, n * width);
  }

  private void turnBack(long turned, int width, long rows) {
    int places = places(width);
    if (places > Vectors.LANES) {
      ScoreLoops.turnBack(turned, width, n, rows);
      return;
    }
    long a = Operand.buffer(lane, BACK, places * ScoreLoops.ROWS).address();
    long b = Operand.buffer(lane, BACK + 1, places * ScoreLoops.ROWS).address();
    boolean whole = n == ScoreLoops.ROWS && places == width;
    long at = turned;
    for (int stage = 2; stage <= places; stage *= 2) {
      long next = whole && stage == places ? rows : at == a ? b : a;
      ScoreLoops.interleave(at, next, places * ScoreLoops.ROWS);
      at = next;
    }
    if (at != rows) {
      ScoreLoops.space(at, places, rows, width, n);
    }
  }

  /** A row's length when it is turned: a power of two. */
  private static int places(int width) {
    return width <= 1 ? 1 : 2 * Integer.highestOneBit(width - 1);
  }
}
