package io.moextend.backend.cpu;

import java.util.Arrays;

/**
 * What queries that see no key get where that is the mean of all values of their sequence, and what
 * they pass on to these.
 */
final class BlindQueries {
  private BlindQueries() {}

  /** The mean of the values a head reads. to [headSize] */
  static void mean(AttentionInputs in, int batch, int keyHead, float[] row, float[] to) {
    int size = in.shape.headSize();
    Arrays.fill(to, 0, Floats.padded(size), 0f);
    for (int key = 0; key < in.shape.keys(); key++) {
      Floats.load(in.v, in.keyAt(batch, keyHead, key), size, row);
      for (int i = 0; i < size; i++) {
        to[i] += row[i];
      }
    }
    for (int i = 0; i < size && in.shape.keys() > 0; i++) {
      to[i] /= in.shape.keys();
    }
  }

  /** Adds to dV what blind queries were given of dOut. */
  static void spread(
      CpuDevice cpu, AttentionInputs in, CpuArray dOut, CpuArray logSumExp, CpuArray dV) {
    int heads = in.shape.keyHeads();
    cpu.workers()
        .run(
            in.shape.batch() * heads,
            (lane, i) -> {
              int size = in.shape.headSize();
              float[] sum = lane.floats(0, Floats.padded(size));
              float[] row = lane.floats(1, Floats.padded(size));
              if (sum(in, i / heads, i % heads, dOut, logSumExp, row, sum)) {
                addToAll(in, i / heads, i % heads, sum, row, dV);
              }
            });
  }

  /**
   * @return false where nothing is to be passed on
   */
  private static boolean sum(
      AttentionInputs in,
      int batch,
      int keyHead,
      CpuArray dOut,
      CpuArray logSumExp,
      float[] row,
      float[] sum) {
    int size = in.shape.headSize();
    Arrays.fill(sum, 0, size, 0f);
    boolean any = false;
    for (int h = keyHead * in.group(); h < (keyHead + 1) * in.group(); h++) {
      for (int query = 0; query < in.shape.queries(); query++) {
        long log = ((long) batch * in.shape.queryHeads() + h) * in.shape.queries() + query;
        if (logSumExp.floatAt(log) == Float.NEGATIVE_INFINITY) {
          long at = (long) batch * in.shape.queries() + query;
          Floats.load(dOut, (at * in.shape.queryHeads() + h) * size, size, row);
          for (int i = 0; i < size; i++) {
            sum[i] += row[i];
            any |= row[i] != 0;
          }
        }
      }
    }
    return any;
  }

  private static void addToAll(
      AttentionInputs in, int batch, int keyHead, float[] sum, float[] row, CpuArray dV) {
    int size = in.shape.headSize();
    for (int key = 0; key < in.shape.keys(); key++) {
      long at = in.keyAt(batch, keyHead, key);
      Floats.load(dV, at, size, row);
      for (int i = 0; i < size; i++) {
        row[i] += sum[i] / in.shape.keys();
      }
      Floats.store(row, size, dV, at);
    }
  }
}
