// Products of all experts in one launch. Rows are sorted by expert: expert e has rows offsets[e] to
// offsets[e + 1], which only the device knows. Weights come as tables of pointers, W[e * parts + p]
// to [partRows, in] row-major; ends[p] is the first row of the stack behind part p.
//
//   product      y[r, :] = x[r, :] W_e^T          M = rows of e, N = out, K = in
//   transposed   dx[r, :] = dy[r, :] W_e          M = rows of e, N = in,  K = out
//   gradient     dW = dy_e^T x_e, wide            M = outRows,   N = in,  K = rows of e
//
// bf16: tiles of 128 x 256 (8 warps of 64 x 64) by 32 deep, through a ring of 4 stages filled by
// asynchronous copies; mma.sync m16n8k16, summed in float. Blocks of 256 threads, one a
// multiprocessor, 98304 bytes of dynamic shared memory. Where widths or pointers are no multiples
// of 16 bytes the same tiles are filled element by element.
// f32 is in grouped_f32.cu. A path for sm_90a (wgmma) would take the place of `multiply_tile`: the
// ring, the tables and the order of tiles stay.

#include "grouped.cuh"

const int BM = 128, BN = 256, BK = 32, STAGES = 4;
const int A_BYTES = BM * BK * 2, STAGE_BYTES = A_BYTES + BN * BK * 2;

// Fills one stage with columns k0 to k0 + 32 of both operands.
template <int MODE, bool VECTOR>
DEVICE void fill_stage(unsigned char* stage, const Tile& t, const Operands& o,
                       const bf16* const (&b_rows)[4], i64 k0) {
  int thread = threadIdx.x;
  if (MODE == GRADIENT) {  // A by columns: [32 rows][128]
#pragma unroll
    for (int i = 0; i < 2; i++) {
      int row = (thread >> 4) + 16 * i, chunk = thread & 15;
      bool valid = k0 + row < t.k;
      const bf16* from = o.a + (valid ? t.row0 + k0 + row : 0) * o.a_pitch;
      fetch<VECTOR>(stage + swizzled<16>(row, chunk), from, t.m0 + chunk * 8, t.m, valid);
    }
  } else {  // A: [128][32]
#pragma unroll
    for (int i = 0; i < 2; i++) {
      int row = (thread >> 2) + 64 * i, chunk = thread & 3;
      bool valid = t.m0 + row < t.m;
      const bf16* from = o.a + (t.row0 + (valid ? t.m0 + row : 0)) * o.a_pitch;
      fetch<VECTOR>(stage + swizzled<4>(row, chunk), from, k0 + chunk * 8, t.k, valid);
    }
  }
  stage += A_BYTES;
#pragma unroll
  for (int i = 0; i < 4; i++) {
    if (MODE == PRODUCT) {  // B: [256][32], rows of the weights
      int row = (thread >> 2) + 64 * i, chunk = thread & 3;
      fetch<VECTOR>(stage + swizzled<4>(row, chunk), b_rows[i], k0 + chunk * 8, t.k,
                    t.n0 + row < t.n);
    } else {  // B by columns: [32][256], rows of the weights or of x
      int row = (thread >> 5) + 8 * i, chunk = thread & 31;
      bool valid = k0 + row < t.k;
      i64 k = valid ? k0 + row : 0;
      const bf16* from = o.b + (MODE == GRADIENT && valid ? t.row0 + k : k) * o.b_pitch;
      if (MODE == TRANSPOSED && o.parts > 1) {
        from = weight_row(o.parts_of, o.ends, o.parts, k, o.b_pitch);
      }
      fetch<VECTOR>(stage + swizzled<32>(row, chunk), from, t.n0 + chunk * 8, t.n, valid);
    }
  }
}

// sums += the stage's 64 x 32 by 32 x 64 of this warp.
template <int MODE>
DEVICE void multiply_stage(float (&sums)[4][8][4], const unsigned char* stage, int m, int n) {
  int lane = lane_id();
  const unsigned char* b_stage = stage + A_BYTES;
#pragma unroll
  for (int step = 0; step < 2; step++) {
    unsigned a[4][4], b[4][4];
#pragma unroll
    for (int i = 0; i < 4; i++) {
      if (MODE == GRADIENT) {
        int row = step * 16 + (lane >> 4) * 8 + (lane & 7);
        int chunk = (m + i * 16) / 8 + (lane >> 3 & 1);
        load_matrices_turned(a[i], stage + swizzled<16>(row, chunk));
      } else {
        load_matrices(a[i], stage + swizzled<4>(m + i * 16 + (lane & 15), step * 2 + (lane >> 4)));
      }
    }
#pragma unroll
    for (int j = 0; j < 4; j++) {
      if (MODE == PRODUCT) {
        int row = n + j * 16 + (lane >> 4) * 8 + (lane & 7);
        load_matrices(b[j], b_stage + swizzled<4>(row, step * 2 + (lane >> 3 & 1)));
      } else {
        int row = step * 16 + (lane >> 3 & 1) * 8 + (lane & 7);
        load_matrices_turned(b[j], b_stage + swizzled<32>(row, (n + j * 16) / 8 + (lane >> 4)));
      }
    }
#pragma unroll
    for (int i = 0; i < 4; i++) {
#pragma unroll
      for (int j = 0; j < 4; j++) {
        multiply_add(sums[i][2 * j], a[i], b[j][0], b[j][1]);
        multiply_add(sums[i][2 * j + 1], a[i], b[j][2], b[j][3]);
      }
    }
  }
}

// out: row 0 of M, column 0 of N
template <int MODE, bool VECTOR, class Out>
DEVICE void multiply_tile(const Tile& t, const Operands& o, Out* out) {
  DYNAMIC_SHARED(stages);
  const bf16* b_rows[4];
#pragma unroll
  for (int i = 0; i < 4; i++) {
    i64 row = t.n0 + (threadIdx.x >> 2) + 64 * i;
    b_rows[i] = MODE == PRODUCT ? weight_row(o.parts_of, o.ends, o.parts, row < t.n ? row : 0, o.b_pitch)
                                : (const bf16*)0;
  }
  int warp = warp_id(), lane = lane_id();
  int m = (warp >> 2) * 64, n = (warp & 3) * 64;
  bool busy = t.m0 + m < t.m && t.n0 + n < t.n;  // of the whole warp
  float sums[4][8][4];
#pragma unroll
  for (int i = 0; i < 4; i++) {
#pragma unroll
    for (int j = 0; j < 8; j++) {
#pragma unroll
      for (int l = 0; l < 4; l++) {
        sums[i][j][l] = 0;
      }
    }
  }
  int steps = (int)((t.k + BK - 1) / BK);
#pragma unroll
  for (int s = 0; s < STAGES - 1; s++) {
    if (s < steps) {
      fill_stage<MODE, VECTOR>(stages + s * STAGE_BYTES, t, o, b_rows, (i64)s * BK);
    }
    copy_commit();
  }
  for (int s = 0; s < steps; s++) {
    copy_wait<STAGES - 2>();
    __syncthreads();  // stage s is whole, and all have done with the one that is filled next
    int next = s + STAGES - 1;
    if (next < steps) {
      fill_stage<MODE, VECTOR>(stages + next % STAGES * STAGE_BYTES, t, o, b_rows, (i64)next * BK);
    }
    copy_commit();
    if (busy) {
      multiply_stage<MODE>(sums, stages + s % STAGES * STAGE_BYTES, m, n);
    }
  }
  if (!busy) {
    return;
  }
  bool together = t.n % 2 == 0 && ((unsigned long long)out & 7) == 0;
#pragma unroll
  for (int i = 0; i < 4; i++) {
#pragma unroll
    for (int half = 0; half < 2; half++) {
      i64 row = t.m0 + m + i * 16 + half * 8 + (lane >> 2);
#pragma unroll
      for (int j = 0; j < 8; j++) {
        i64 column = t.n0 + n + j * 8 + (lane & 3) * 2;
        if (row < t.m && column + 1 < t.n) {
          store_pair(out + row * t.n + column, sums[i][j][half * 2], sums[i][j][half * 2 + 1],
                     together);
        } else if (row < t.m && column < t.n) {
          out[row * t.n + column] = rounded<Out>(sums[i][j][half * 2]);
        }
      }
    }
  }
}

// The expert's rows times its weights, or the other way round.
template <int MODE, class Out>
DEVICE void grouped(Out* y, const bf16* x, const bf16* const* w, const int* ends, int parts,
                    const int* offsets, int experts, i64 in, i64 out) {
  i64 n = MODE == PRODUCT ? out : in, k = MODE == PRODUCT ? in : out;
  Tile t;
  i64 id = (i64)blockIdx.y * gridDim.x + blockIdx.x;
  if (!find_tile<BM, BN>(t, id, offsets, experts, (n + BN - 1) / BN, n, k)) {
    return;
  }
  const bf16* const* parts_of = w + (i64)t.expert * parts;
  Operands o = {x, k, parts_of, ends, parts, parts_of[0], in};
  bool vector = in % 8 == 0 && k % 8 == 0 && aligned(x);
  for (int p = 0; p < parts; p++) {
    vector = vector && aligned(o.parts_of[p]);
  }
  if (vector) {
    multiply_tile<MODE, true>(t, o, y + t.row0 * n);
  } else {
    multiply_tile<MODE, false>(t, o, y + t.row0 * n);
  }
}

BOUND_KERNEL(256, 1, grouped_product_bf16, bf16* y, const bf16* x, const bf16* const* W,
             const int* ends, int parts, const int* offsets, int experts, i64 rows, i64 in,
             i64 out) {
  grouped<PRODUCT>(y, x, W, ends, parts, offsets, experts, in, out);
}
BOUND_KERNEL(256, 1, grouped_product_f32out_bf16, float* y, const bf16* x, const bf16* const* W,
             const int* ends, int parts, const int* offsets, int experts, i64 rows, i64 in,
             i64 out) {
  grouped<PRODUCT>(y, x, W, ends, parts, offsets, experts, in, out);
}
BOUND_KERNEL(256, 1, grouped_transposed_bf16, bf16* dx, const bf16* dy, const bf16* const* W,
             const int* ends, int parts, const int* offsets, int experts, i64 rows, i64 in,
             i64 out) {
  grouped<TRANSPOSED>(dx, dy, W, ends, parts, offsets, experts, in, out);
}

// dW[o, i] = sum over the expert's rows of dy[r, from + o] x[r, i]; zeros where it has none.
BOUND_KERNEL(256, 1, grouped_gradient_bf16, float* dW, const bf16* dy, i64 ldDy, i64 from,
             const bf16* x, const int* offsets, int expert, i64 outRows, i64 in) {
  i64 begin = offsets[expert];
  Tile t = {begin, (i64)blockIdx.y * BM, outRows, (i64)blockIdx.x * BN, in,
            offsets[expert + 1] - begin, expert};
  if (t.m0 >= t.m || t.n0 >= t.n) {
    return;
  }
  Operands o = {dy + from, ldDy, 0, 0, 0, x, in};
  if (ldDy % 8 == 0 && from % 8 == 0 && in % 8 == 0 && aligned(dy) && aligned(x)) {
    multiply_tile<GRADIENT, true>(t, o, dW);
  } else {
    multiply_tile<GRADIENT, false>(t, o, dW);
  }
}
