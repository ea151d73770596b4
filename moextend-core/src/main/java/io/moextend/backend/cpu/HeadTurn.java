package io.moextend.backend.cpu;

/**
 * Turns the two halves of each head of rows by the angles of a table's row.
 *
 * @param cosines [positions, half a head] F32, as are {@code sines}
 * @param sign -1 turns back
 */
record HeadTurn(
    CpuArray from, CpuArray cosines, CpuArray sines, int heads, float sign, CpuArray out) {

  private int half() {
    return CpuDevice.count(cosines.dim(1));
  }

  /**
   * One row.
   *
   * @param first element of {@code from}
   * @param at element of {@code out}
   */
  void row(Lane lane, long first, int position, long at) {
    long table = (long) position * half();
    if (half() % Vectors.LANES == 0) {
      whole(lane, first, table, at);
    } else {
      any(lane, first, table, at);
    }
  }

  /** One row whose half heads are whole vectors. */
  private void whole(Lane lane, long first, long table, long at) {
    int width = 2 * half() * heads;
    Operand row = Operand.in(lane, 0, from, first, width);
    Operand turned = Operand.out(lane, 1, out, at, width);
    long c = cosines.address(table);
    long s = sines.address(table);
    if (sign < 0) {
      Operand negated = Operand.buffer(lane, 2, half());
      PointwiseLoops.scale(s, sign, negated.address(), Vectors.F32, half());
      s = negated.address();
    }
    if (row.width() == Vectors.BF16 && half() % (2 * Vectors.LANES) == 0) {
      long cos = Operand.buffer(lane, 3, half()).address();
      long sin = Operand.buffer(lane, 4, half()).address();
      PairLoops.split(c, cos, half());
      PairLoops.split(s, sin, half());
      RowLoops.turnBf16(row.address(), cos, sin, half(), heads, turned.address());
    } else {
      Operand wide = row.wide(lane, 5, width);
      Operand written = turned.wideOut(lane, 6, width);
      RowLoops.turn(wide.address(), c, s, half(), heads, written.address());
      turned.take(written, width);
    }
    turned.finish(lane, out, at, width);
  }

  /** One row whose half heads are no whole vectors. */
  private void any(Lane lane, long first, long table, long at) {
    int half = half();
    int width = 2 * half * heads;
    float[] row = lane.floats(0, width);
    float[] c = lane.floats(1, half);
    float[] s = lane.floats(2, half);
    Floats.load(from, first, width, row);
    Floats.load(cosines, table, half, c);
    Floats.load(sines, table, half, s);
    for (int head = 0; head < width; head += 2 * half) {
      for (int i = head; i < head + half; i++) {
        float x1 = row[i];
        float x2 = row[i + half];
        float sine = sign * s[i - head];
        row[i] = x1 * c[i - head] - x2 * sine;
        row[i + half] = x2 * c[i - head] + x1 * sine;
      }
    }
    Floats.store(row, width, out, at);
  }
}
