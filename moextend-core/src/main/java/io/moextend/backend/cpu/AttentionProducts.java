package io.moextend.backend.cpu;

import io.moextend.array.DType;
import io.moextend.backend.cpu.AttentionInputs.Rows;
import io.moextend.backend.cpu.Gemm.Layout;

/**
 * The products that make a tile of scores and what is made with it, [rows, keys].
 *
 * @param type of q, k, v and what takes the place of scores
 */
record AttentionProducts(DType type, int headSize, int sumWidth) {
  /** tile [rows, keys] = queries · keysᵀ. */
  void scores(Gemm gemm, Rows queries, int rows, Rows keys, int n, long tile) {
    var shape =
        new Gemm.Shape(
            rows,
            headSize,
            n,
            type,
            DType.F32,
            new Layout(queries.stride(), 1),
            new Layout(1, keys.stride()),
            AttentionInputs.KEYS,
            false,
            false);
    gemm.multiply(shape, queries.address(), keys.address(), 0, tile);
  }

  /** sums [rows, headSize] += tile [rows, keys] · keys. */
  void overKeys(Gemm gemm, long tile, int rows, Rows keys, int n, long sums) {
    var shape =
        new Gemm.Shape(
            rows,
            n,
            headSize,
            type,
            DType.F32,
            new Layout(ScoreTile.ROW / type.bytes(), 1),
            new Layout(keys.stride(), 1),
            sumWidth,
            false,
            true);
    gemm.multiply(shape, tile, keys.address(), 0, sums);
  }

  /** sums [keys, headSize] += tile [rows, keys]ᵀ · queries. */
  void overQueries(Gemm gemm, long tile, int rows, Rows queries, int n, long sums) {
    var shape =
        new Gemm.Shape(
            n,
            rows,
            headSize,
            type,
            DType.F32,
            new Layout(1, ScoreTile.ROW / type.bytes()),
            new Layout(queries.stride(), 1),
            sumWidth,
            false,
            true);
    gemm.multiply(shape, tile, queries.address(), 0, sums);
  }
}
