package io.moextend.backend.cuda;

import io.moextend.array.DType;

/** Products of row-major matrices, summed in F32. */
interface Blas extends AutoCloseable {
  /**
   * C = A B, or C += A B; then + bias on every row.
   *
   * @param type of A and B
   * @param result of C; F32, or {@code type}
   * @param m rows of C
   * @param n columns of C
   * @param k length of the sums
   * @param aTransposed A lies as [k, m]
   * @param bTransposed B lies as [n, k]
   * @param lda elements from one row of A as it lies to the next; likewise ldb, ldc
   * @param biased a bias [n] of C's type is added
   */
  record Gemm(
      DType type,
      DType result,
      long m,
      long n,
      long k,
      boolean aTransposed,
      long lda,
      boolean bTransposed,
      long ldb,
      long ldc,
      boolean accumulate,
      boolean biased) {}

  /**
   * @param bias its address, 0 where there is none
   * @return false where the library has no way to do it; nothing was done then
   */
  boolean multiply(Gemm gemm, long a, long b, long c, long bias);

  @Override
  void close();
}
