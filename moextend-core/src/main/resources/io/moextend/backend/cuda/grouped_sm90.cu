// The bf16 products of grouped.cu with Hopper's own instruction, wgmma: the same results, arguments
// and tiles of 128 x 256, but 64 deep and 197632 bytes of dynamic shared memory. Compiled for sm_90a
// alone (elsewhere this source has no kernels). Not yet run on a card: grouped.cu stays the way.
//
// Two groups of 4 warps take 64 x 256 each. A ring of 4 stages is filled two steps ahead by
// asynchronous copies of all threads, while the step before is still being multiplied. A stage holds
// rows of 128 bytes whose 16-byte chunks are exchanged by chunk ^ (row & 7), the hardware's 128-byte
// swizzle, in blocks of 1024 bytes: of K for operands read along K, and for the others blocks of 64
// columns, 64 rows of K each.

#include "grouped.cuh"

#if defined(MOEXTEND_EMULATOR) || defined(__CUDA_ARCH_FEAT_SM90_ALL)

const int BM = 128, BN = 256, BK = 64, STAGES = 4, AHEAD = 2;
const int BLOCK_BYTES = 64 * 128, A_BYTES = 2 * BLOCK_BYTES, STAGE_BYTES = 6 * BLOCK_BYTES;

// ---- the instruction

// Where an operand lies in shared memory: its address, the distance of blocks of 64 columns (16, not
// looked at, for operands read along K) and of groups of 8 rows, all in bytes; 128-byte swizzle.
DEVICE unsigned long long described(unsigned address, unsigned columns, unsigned rows) {
  return (unsigned long long)((address & 0x3ffff) >> 4) | (unsigned long long)(columns >> 4) << 16 |
         (unsigned long long)(rows >> 4) << 32 | 1ull << 62;
}

#ifndef MOEXTEND_EMULATOR
DEVICE unsigned shared_address(const unsigned char* p) { return (unsigned)__cvta_generic_to_shared(p); }
// Makes what this thread wrote to shared memory visible to wgmma, before a barrier.
DEVICE void fence_copies() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }
DEVICE void begin_products() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
DEVICE void end_products() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int PENDING>
DEVICE void wait_products() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(PENDING) : "memory");
}
// Sums are not read before the products they come from were waited for.
DEVICE void hold(float (&d)[32][4]) {
#pragma unroll
  for (int j = 0; j < 32; j++) {
    asm volatile("" : "+f"(d[j][0]), "+f"(d[j][1]), "+f"(d[j][2]), "+f"(d[j][3])::"memory");
  }
}
#define SUMS(j) "+f"(d[j][0]), "+f"(d[j][1]), "+f"(d[j][2]), "+f"(d[j][3])
#define SUMS4(j) SUMS(j), SUMS(j + 1), SUMS(j + 2), SUMS(j + 3)
// d = a b, where `more` d += a b, of 64x16 by 16x256, by the four warps of a group; TURNED: not read
// along K. Lane l of warp
// w holds of d rows 16 w + l/4 and 8 more, columns 8 j + 2 (l%4) and the next.
template <int A_TURNED, int B_TURNED>
DEVICE void multiply_group(float (&d)[32][4], unsigned long long a, unsigned long long b, int more) {
  asm volatile(
      "{\n.reg .pred more;\nsetp.ne.b32 more, %130, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, "
      "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, "
      "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, "
      "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, "
      "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127}, "
      "%128, %129, more, 1, 1, %131, %132;\n}"
      : SUMS4(0), SUMS4(4), SUMS4(8), SUMS4(12), SUMS4(16), SUMS4(20), SUMS4(24), SUMS4(28)
      : "l"(a), "l"(b), "r"(more), "n"(A_TURNED), "n"(B_TURNED));
}
#else
DEVICE unsigned shared_address(const unsigned char* p) { return emulator::shared_address(p); }
DEVICE void fence_copies() {}
DEVICE void begin_products() {}
DEVICE void hold(float (&)[32][4]) {}
DEVICE void end_products() { emulator::products_commit(); }
template <int PENDING>
DEVICE void wait_products() {
  emulator::products_wait(PENDING);
}
template <int A_TURNED, int B_TURNED>
DEVICE void multiply_group(float (&d)[32][4], unsigned long long a, unsigned long long b, int more) {
  emulator::multiply_group(d, a, b, more, A_TURNED, B_TURNED);
}
#endif

// ---- a tile

// The place of a chunk in blocks of 64 columns by 64 rows.
DEVICE int in_blocks(int row, int chunk) {
  return (chunk >> 3) * BLOCK_BYTES + swizzled<8>(row, chunk & 7);
}

// Fills one stage with columns k0 to k0 + 64 of both operands.
template <int MODE, bool VECTOR>
DEVICE void fill_stage(unsigned char* stage, const Tile& t, const Operands& o, i64 k0) {
  int thread = threadIdx.x;
#pragma unroll
  for (int i = 0; i < 4; i++) {
    if (MODE == GRADIENT) {  // A by columns: [64 rows][128]
      int row = (thread >> 4) + 16 * i, chunk = thread & 15;
      bool valid = k0 + row < t.k;
      const bf16* from = o.a + (valid ? t.row0 + k0 + row : 0) * o.a_pitch;
      fetch<VECTOR>(stage + in_blocks(row, chunk), from, t.m0 + chunk * 8, t.m, valid);
    } else {  // A: [128][64]
      int row = (thread >> 3) + 32 * i, chunk = thread & 7;
      bool valid = t.m0 + row < t.m;
      const bf16* from = o.a + (t.row0 + (valid ? t.m0 + row : 0)) * o.a_pitch;
      fetch<VECTOR>(stage + swizzled<8>(row, chunk), from, k0 + chunk * 8, t.k, valid);
    }
  }
  stage += A_BYTES;
#pragma unroll
  for (int i = 0; i < 8; i++) {
    if (MODE == PRODUCT) {  // B: [256][64], rows of the weights
      int row = (thread >> 3) + 32 * i, chunk = thread & 7;
      bool valid = t.n0 + row < t.n;
      i64 n = valid ? t.n0 + row : 0;
      const bf16* from = o.b + n * o.b_pitch;
      if (o.parts > 1) {
        from = weight_row(o.parts_of, o.ends, o.parts, n, o.b_pitch);
      }
      fetch<VECTOR>(stage + swizzled<8>(row, chunk), from, k0 + chunk * 8, t.k, valid);
    } else {  // B by columns: [64][256], rows of the weights or of x
      int row = (thread >> 5) + 8 * i, chunk = thread & 31;
      bool valid = k0 + row < t.k;
      i64 k = valid ? k0 + row : 0;
      const bf16* from = o.b + (MODE == GRADIENT && valid ? t.row0 + k : k) * o.b_pitch;
      if (MODE == TRANSPOSED && o.parts > 1) {
        from = weight_row(o.parts_of, o.ends, o.parts, k, o.b_pitch);
      }
      fetch<VECTOR>(stage + in_blocks(row, chunk), from, t.n0 + chunk * 8, t.n, valid);
    }
  }
}

// out: row 0 of M, column 0 of N
template <int MODE, bool VECTOR, class Out>
DEVICE void multiply_tile(const Tile& t, const Operands& o, Out* out) {
  DYNAMIC_SHARED(memory);
  unsigned char* stages = memory + (-shared_address(memory) & 1023);  // whole swizzle blocks
  const int A_TURNED = MODE == GRADIENT, B_TURNED = MODE != PRODUCT;
  const unsigned A_STEP = A_TURNED ? 16 * 128 : 32, B_STEP = B_TURNED ? 16 * 128 : 32;
  const unsigned A_COLUMNS = A_TURNED ? BLOCK_BYTES : 16, B_COLUMNS = B_TURNED ? BLOCK_BYTES : 16;
  int group = threadIdx.x >> 7;
  float sums[32][4];  // written by the first product: nothing else may touch them until the last
  int steps = (int)((t.k + BK - 1) / BK);
  if (steps == 0) {  // an expert without rows
    for (int i = threadIdx.x; i < BM * BN; i += blockDim.x) {
      i64 row = t.m0 + i / BN, column = t.n0 + i % BN;
      if (row < t.m && column < t.n) {
        out[row * t.n + column] = rounded<Out>(0);
      }
    }
    return;
  }
#pragma unroll
  for (int s = 0; s < AHEAD; s++) {
    if (s < steps) {
      fill_stage<MODE, VECTOR>(stages + s * STAGE_BYTES, t, o, (i64)s * BK);
    }
    copy_commit();
  }
#pragma unroll 1
  for (int s = 0; s < steps; s++) {
    copy_wait<AHEAD - 1>();
    fence_copies();
    __syncthreads();  // stage s is whole; all groups are through with step s - 2, whose stage is filled
    int next = s + AHEAD;
    if (next < steps) {
      fill_stage<MODE, VECTOR>(stages + next % STAGES * STAGE_BYTES, t, o, (i64)next * BK);
    }
    copy_commit();
    unsigned a = shared_address(stages + s % STAGES * STAGE_BYTES), b = a + A_BYTES;
    a += group * BLOCK_BYTES;
    begin_products();
#pragma unroll
    for (int i = 0; i < BK / 16; i++) {
      multiply_group<A_TURNED, B_TURNED>(sums, described(a + i * A_STEP, A_COLUMNS, 1024),
                                         described(b + i * B_STEP, B_COLUMNS, 1024), s + i);
    }
    end_products();
    wait_products<1>();
  }
  wait_products<0>();
  hold(sums);
  int warp = warp_id(), lane = lane_id();
  bool together = t.n % 2 == 0 && ((unsigned long long)out & 7) == 0;
#pragma unroll
  for (int half = 0; half < 2; half++) {
    i64 row = t.m0 + warp * 16 + half * 8 + (lane >> 2);
#pragma unroll
    for (int j = 0; j < 32; j++) {
      i64 column = t.n0 + j * 8 + (lane & 3) * 2;
      if (row < t.m && column + 1 < t.n) {
        store_pair(out + row * t.n + column, sums[j][half * 2], sums[j][half * 2 + 1], together);
      } else if (row < t.m && column < t.n) {
        out[row * t.n + column] = rounded<Out>(sums[j][half * 2]);
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

BOUND_KERNEL(256, 1, grouped_product_wgmma_bf16, bf16* y, const bf16* x, const bf16* const* W,
             const int* ends, int parts, const int* offsets, int experts, i64 rows, i64 in,
             i64 out) {
  grouped<PRODUCT>(y, x, W, ends, parts, offsets, experts, in, out);
}
BOUND_KERNEL(256, 1, grouped_product_f32out_wgmma_bf16, float* y, const bf16* x, const bf16* const* W,
             const int* ends, int parts, const int* offsets, int experts, i64 rows, i64 in,
             i64 out) {
  grouped<PRODUCT>(y, x, W, ends, parts, offsets, experts, in, out);
}
BOUND_KERNEL(256, 1, grouped_transposed_wgmma_bf16, bf16* dx, const bf16* dy, const bf16* const* W,
             const int* ends, int parts, const int* offsets, int experts, i64 rows, i64 in,
             i64 out) {
  grouped<TRANSPOSED>(dx, dy, W, ends, parts, offsets, experts, in, out);
}

// dW[o, i] = sum over the expert's rows of dy[r, from + o] x[r, i]; zeros where it has none.
BOUND_KERNEL(256, 1, grouped_gradient_wgmma_bf16, float* dW, const bf16* dy, i64 ldDy, i64 from,
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
#endif
