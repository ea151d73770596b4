// Products of all experts in one launch, in f32; grouped.cu says what they are. Tiles of 64 x 64 by 16
// deep, 256 threads with 4 x 4 sums each, plain multiply-adds in order of K. No dynamic shared
// memory.

#include "grouped.cuh"

const int WM = 64, WK = 16, PITCH = WM + 4;  // rows of shared memory stay on multiples of 16 bytes

// a(m, k) and b(k, n) give elements, zeros outside; put(m, n, sum) takes results. K_FIRST: whether
// neighbours along K are neighbours in memory, so that neighbouring threads read along it.
template <bool A_K_FIRST, bool B_K_FIRST, class A, class B, class Put>
DEVICE void multiply_wide(i64 k, A a, B b, Put put) {
  SHARED(float, left, WK * PITCH);   // [k][m]
  SHARED(float, right, WK * PITCH);  // [k][n]
  int thread = threadIdx.x, m = (thread >> 4) * 4, n = (thread & 15) * 4;
  float sums[4][4] = {};
  float next_a[4], next_b[4];
  for (i64 k0 = -WK; k0 < k; k0 += WK) {
    if (k0 >= 0) {
      __syncthreads();  // all have done with the tile before
#pragma unroll
      for (int i = 0; i < 4; i++) {
        int am = A_K_FIRST ? (thread >> 4) + 16 * i : thread & 63;
        int ak = A_K_FIRST ? thread & 15 : (thread >> 6) + 4 * i;
        int bn = B_K_FIRST ? (thread >> 4) + 16 * i : thread & 63;
        int bk = B_K_FIRST ? thread & 15 : (thread >> 6) + 4 * i;
        left[ak * PITCH + am] = next_a[i];
        right[bk * PITCH + bn] = next_b[i];
      }
      __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < 4; i++) {  // the next tile is on its way while this one is multiplied
      int am = A_K_FIRST ? (thread >> 4) + 16 * i : thread & 63;
      int ak = A_K_FIRST ? thread & 15 : (thread >> 6) + 4 * i;
      int bn = B_K_FIRST ? (thread >> 4) + 16 * i : thread & 63;
      int bk = B_K_FIRST ? thread & 15 : (thread >> 6) + 4 * i;
      next_a[i] = k0 + WK + ak < k ? a(am, k0 + WK + ak) : 0;
      next_b[i] = k0 + WK + bk < k ? b(k0 + WK + bk, bn) : 0;
    }
    if (k0 >= 0) {
#pragma unroll
      for (int l = 0; l < WK; l++) {
        float4 x = *(const float4*)(left + l * PITCH + m), y = *(const float4*)(right + l * PITCH + n);
        float xs[4] = {x.x, x.y, x.z, x.w}, ys[4] = {y.x, y.y, y.z, y.w};
#pragma unroll
        for (int i = 0; i < 4; i++) {
#pragma unroll
          for (int j = 0; j < 4; j++) {
            sums[i][j] += xs[i] * ys[j];
          }
        }
      }
    }
  }
#pragma unroll
  for (int i = 0; i < 4; i++) {
#pragma unroll
    for (int j = 0; j < 4; j++) {
      put(m + i, n + j, sums[i][j]);
    }
  }
}

template <int MODE>
DEVICE void grouped_wide(float* y, const float* x, const float* const* w, const int* ends, int parts,
                         const int* offsets, int experts, i64 in, i64 out) {
  i64 n = MODE == PRODUCT ? out : in, k = MODE == PRODUCT ? in : out;
  Tile t;
  i64 id = (i64)blockIdx.y * gridDim.x + blockIdx.x;
  if (!find_tile<WM, WM>(t, id, offsets, experts, (n + WM - 1) / WM, n, k)) {
    return;
  }
  const float* const* own = w + (i64)t.expert * parts;
  x += t.row0 * k;
  y += t.row0 * n;
  multiply_wide<true, MODE == PRODUCT>(
      k, [=](int m, i64 at) { return t.m0 + m < t.m ? x[(t.m0 + m) * k + at] : 0; },
      [=](i64 at, int c) {
        i64 row = MODE == PRODUCT ? t.n0 + c : at, column = MODE == PRODUCT ? at : t.n0 + c;
        return t.n0 + c < t.n ? weight_row(own, ends, parts, row, in)[column] : 0;
      },
      [=](int m, int c, float sum) {
        if (t.m0 + m < t.m && t.n0 + c < t.n) {
          y[(t.m0 + m) * t.n + t.n0 + c] = sum;
        }
      });
}

BOUND_KERNEL(256, 1, grouped_product_f32, float* y, const float* x, const float* const* W,
             const int* ends, int parts, const int* offsets, int experts, i64 rows, i64 in,
             i64 out) {
  grouped_wide<PRODUCT>(y, x, W, ends, parts, offsets, experts, in, out);
}
BOUND_KERNEL(256, 1, grouped_transposed_f32, float* dx, const float* dy, const float* const* W,
             const int* ends, int parts, const int* offsets, int experts, i64 rows, i64 in,
             i64 out) {
  grouped_wide<TRANSPOSED>(dx, dy, W, ends, parts, offsets, experts, in, out);
}
BOUND_KERNEL(256, 1, grouped_gradient_f32, float* dW, const float* dy, i64 ldDy, i64 from,
             const float* x, const int* offsets, int expert, i64 outRows, i64 in) {
  i64 begin = offsets[expert], m0 = (i64)blockIdx.y * WM, n0 = (i64)blockIdx.x * WM;
  dy += begin * ldDy + from;
  x += begin * in;
  multiply_wide<false, false>(
      offsets[expert + 1] - begin,
      [=](int m, i64 r) { return m0 + m < outRows ? dy[r * ldDy + m0 + m] : 0; },
      [=](i64 r, int n) { return n0 + n < in ? x[r * in + n0 + n] : 0; },
      [=](int m, int n, float sum) {
        if (m0 + m < outRows && n0 + n < in) {
          dW[(m0 + m) * in + n0 + n] = sum;
        }
      });
}
