// What all kernels share: element types, 16-byte accesses, reductions, asynchronous copies and the
// tensor cores. Put in front of every .cu, which has no includes of its own: the same text is
// compiled by NVRTC, by nvcc and, for the tests' emulator, by g++.
//
// Rules of all kernels here: computed in float, rounded once on the way out. No float atomics; what
// is added up is added in an order that sizes alone decide, so the same inputs give the same bits.

typedef long long i64;

struct bf16 {
  unsigned short bits;
};
struct f16 {
  unsigned short bits;
};

#ifndef MOEXTEND_EMULATOR
#define KERNEL(name, ...) extern "C" __global__ void name(__VA_ARGS__)
// A kernel for blocks of so many threads, of which so many are to fit on a multiprocessor.
#define BOUND_KERNEL(threads, blocks, name, ...) \
  extern "C" __global__ void __launch_bounds__(threads, blocks) name(__VA_ARGS__)
#define SHARED(type, name, count) __shared__ __align__(16) type name[count]
#define DYNAMIC_SHARED(name) extern __shared__ __align__(128) unsigned char name[]
#endif
#define DEVICE static __device__ __forceinline__
#define DEVICE_MEMBER_OF __device__ __forceinline__
#define DEVICE_MEMBER static __device__ __forceinline__
#define ALL_LANES 0xffffffffu

// Codes a kernel leaves in *fault.
enum Fault { FAULT_ROW = 1, FAULT_TARGET = 2, FAULT_EXPERT = 3 };

DEVICE float infinity() { return __int_as_float(0x7f800000); }

// ---- conversions

DEVICE float to_float(float x) { return x; }
DEVICE float to_float(bf16 x) { return __uint_as_float((unsigned)x.bits << 16); }

#ifndef MOEXTEND_EMULATOR
DEVICE float to_float(f16 x) {
  float wide;
  asm("cvt.f32.f16 %0, %1;" : "=f"(wide) : "h"(x.bits));
  return wide;
}
DEVICE void from_float(float x, bf16& to) {
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(to.bits) : "f"(x));
}
DEVICE void from_float(float x, f16& to) {
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(to.bits) : "f"(x));
}
// Two values in one register, the first in the lower half.
DEVICE unsigned pack_bf16(float first, float second) {
  unsigned both;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(second), "f"(first));
  return both;
}
// 2^x, off by 2 units in the last place; 2^-inf = 0.
DEVICE float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
#else
DEVICE float to_float(f16 x) { return emulator::from_half(x.bits); }
DEVICE void from_float(float x, bf16& to) { to.bits = emulator::to_bf16(x); }
DEVICE void from_float(float x, f16& to) { to.bits = emulator::to_half(x); }
DEVICE unsigned pack_bf16(float first, float second) {
  return emulator::to_bf16(first) | (unsigned)emulator::to_bf16(second) << 16;
}
DEVICE float exp2_fast(float x) { return exp2f(x); }
#endif
DEVICE void from_float(float x, float& to) { to = x; }

template <class T>
DEVICE T rounded(float x) {
  T to;
  from_float(x, to);
  return to;
}

// ---- eight elements at once, in accesses of 16 bytes

DEVICE bool aligned(const void* p) { return ((unsigned long long)p & 15) == 0; }

#ifndef MOEXTEND_EMULATOR
DEVICE uint4 load16(const void* p) { return *(const uint4*)p; }
DEVICE void store16(void* p, uint4 v) { *(uint4*)p = v; }
#else
DEVICE uint4 load16(const void* p) { return *(const uint4*)emulator::aligned16(p); }
DEVICE void store16(void* p, uint4 v) { *(uint4*)emulator::aligned16(p) = v; }
#endif

DEVICE void load8(const float* p, float (&v)[8]) {
  uint4 a = load16(p), b = load16(p + 4);
  v[0] = __uint_as_float(a.x), v[1] = __uint_as_float(a.y);
  v[2] = __uint_as_float(a.z), v[3] = __uint_as_float(a.w);
  v[4] = __uint_as_float(b.x), v[5] = __uint_as_float(b.y);
  v[6] = __uint_as_float(b.z), v[7] = __uint_as_float(b.w);
}
DEVICE void split_bf16(unsigned both, float& first, float& second) {
  first = __uint_as_float(both << 16);
  second = __uint_as_float(both & 0xffff0000u);
}
DEVICE void load8(const bf16* p, float (&v)[8]) {
  uint4 a = load16(p);
  split_bf16(a.x, v[0], v[1]), split_bf16(a.y, v[2], v[3]);
  split_bf16(a.z, v[4], v[5]), split_bf16(a.w, v[6], v[7]);
}
DEVICE void split_f16(unsigned both, float& first, float& second) {
  f16 low = {(unsigned short)both}, high = {(unsigned short)(both >> 16)};
  first = to_float(low), second = to_float(high);
}
DEVICE void load8(const f16* p, float (&v)[8]) {
  uint4 a = load16(p);
  split_f16(a.x, v[0], v[1]), split_f16(a.y, v[2], v[3]);
  split_f16(a.z, v[4], v[5]), split_f16(a.w, v[6], v[7]);
}
DEVICE void store8(float* p, const float (&v)[8]) {
  store16(p, make_uint4(__float_as_uint(v[0]), __float_as_uint(v[1]), __float_as_uint(v[2]),
                        __float_as_uint(v[3])));
  store16(p + 4, make_uint4(__float_as_uint(v[4]), __float_as_uint(v[5]), __float_as_uint(v[6]),
                            __float_as_uint(v[7])));
}
DEVICE void store8(bf16* p, const float (&v)[8]) {
  store16(p, make_uint4(pack_bf16(v[0], v[1]), pack_bf16(v[2], v[3]), pack_bf16(v[4], v[5]),
                        pack_bf16(v[6], v[7])));
}
DEVICE unsigned pack_f16(float first, float second) {
  return rounded<f16>(first).bits | (unsigned)rounded<f16>(second).bits << 16;
}
DEVICE void store8(f16* p, const float (&v)[8]) {
  store16(p, make_uint4(pack_f16(v[0], v[1]), pack_f16(v[2], v[3]), pack_f16(v[4], v[5]),
                        pack_f16(v[6], v[7])));
}

// ---- places

// This thread's number in the grid, and the grid's threads: for loops over elements.
DEVICE i64 grid_thread() { return (i64)blockIdx.x * blockDim.x + threadIdx.x; }
DEVICE i64 grid_threads() { return (i64)gridDim.x * blockDim.x; }
DEVICE int lane_id() { return threadIdx.x & 31; }
DEVICE int warp_id() { return threadIdx.x >> 5; }
DEVICE i64 least(i64 a, i64 b) { return a < b ? a : b; }

// i = row * width + column; a 64-bit division takes ten times as long as one of 32 bits.
DEVICE void split(i64 i, i64 width, i64& row, i64& column) {
  if (((i | width) >> 32) == 0) {
    unsigned r = (unsigned)i / (unsigned)width;
    row = r;
    column = (unsigned)i - r * (unsigned)width;
  } else {
    row = i / width;
    column = i - row * width;
  }
}

// ---- reductions; every lane or thread gets the same bits

template <class T>
DEVICE T warp_sum(T v) {
#pragma unroll
  for (int d = 16; d > 0; d >>= 1) {
    v += __shfl_xor_sync(ALL_LANES, v, d);
  }
  return v;
}
DEVICE float warp_max(float v) {
#pragma unroll
  for (int d = 16; d > 0; d >>= 1) {
    v = fmaxf(v, __shfl_xor_sync(ALL_LANES, v, d));
  }
  return v;
}

// Of all threads of the block; every one of them has to call it.
template <class T>
DEVICE T block_sum(T v) {
  SHARED(T, part, 32);
  v = warp_sum(v);
  __syncthreads();  // the last call's parts have been read
  if (lane_id() == 0) {
    part[warp_id()] = v;
  }
  __syncthreads();
  return warp_sum(lane_id() < (int)(blockDim.x >> 5) ? part[lane_id()] : (T)0);
}
DEVICE float block_max(float v) {
  SHARED(float, part, 32);
  v = warp_max(v);
  __syncthreads();
  if (lane_id() == 0) {
    part[warp_id()] = v;
  }
  __syncthreads();
  return warp_max(lane_id() < (int)(blockDim.x >> 5) ? part[lane_id()] : -infinity());
}

// ---- loops over elements: 8 at once where all arrays allow it

template <class A, class O, class F>
DEVICE void map1(i64 n, const A* a, O* out, F f) {
  i64 groups = aligned(a) && aligned(out) ? n / 8 : 0;
  for (i64 g = grid_thread(); g < groups; g += grid_threads()) {
    float x[8];
    load8(a + g * 8, x);
#pragma unroll
    for (int i = 0; i < 8; i++) {
      x[i] = f(x[i]);
    }
    store8(out + g * 8, x);
  }
  for (i64 i = groups * 8 + grid_thread(); i < n; i += grid_threads()) {
    out[i] = rounded<O>(f(to_float(a[i])));
  }
}

template <class A, class B, class O, class F>
DEVICE void map2(i64 n, const A* a, const B* b, O* out, F f) {
  i64 groups = aligned(a) && aligned(b) && aligned(out) ? n / 8 : 0;
  for (i64 g = grid_thread(); g < groups; g += grid_threads()) {
    float x[8], y[8];
    load8(a + g * 8, x);
    load8(b + g * 8, y);
#pragma unroll
    for (int i = 0; i < 8; i++) {
      x[i] = f(x[i], y[i]);
    }
    store8(out + g * 8, x);
  }
  for (i64 i = groups * 8 + grid_thread(); i < n; i += grid_threads()) {
    out[i] = rounded<O>(f(to_float(a[i]), to_float(b[i])));
  }
}

// ---- asynchronous copies to shared memory, and the tensor cores (sm_80 and later)

// The byte offset of 16-byte chunk `chunk` of row `row` in a tile of rows of CHUNKS chunks. Eight
// rows of one column of chunks, or eight neighbouring chunks, lie in different banks.
template <int CHUNKS>
DEVICE int swizzled(int row, int chunk) {
  return (row * CHUNKS + (CHUNKS % 8 == 0 ? chunk ^ (row & 7) : chunk ^ (row >> 1 & 3))) * 16;
}

#ifndef MOEXTEND_EMULATOR
// 16 bytes, or zeros where not valid; `from` has to be an address that may be read all the same.
DEVICE void copy_async(void* shared, const void* from, bool valid) {
  unsigned to = (unsigned)__cvta_generic_to_shared(shared);
  int bytes = valid ? 16 : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(bytes)
               : "memory");
}
DEVICE void copy_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Waits until at most PENDING groups of this thread are under way.
template <int PENDING>
DEVICE void copy_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
}
// Four 8x8 matrices of 16-bit elements; lane 8j + i gives the address of row i of matrix j.
DEVICE void load_matrices(unsigned (&r)[4], const void* row) {
  unsigned at = (unsigned)__cvta_generic_to_shared(row);
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(at)
               : "memory");
}
DEVICE void load_matrices_turned(unsigned (&r)[4], const void* row) {
  unsigned at = (unsigned)__cvta_generic_to_shared(row);
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(at)
               : "memory");
}
// d += a b, of 16x16 by 16x8 in bf16, summed in float. Lane l holds of d rows l/4 and l/4 + 8,
// columns 2 (l%4) and the next.
DEVICE void multiply_add(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
#else
DEVICE void copy_async(void* shared, const void* from, bool valid) {
  emulator::copy_async(shared, from, valid);
}
DEVICE void copy_commit() { emulator::copy_commit(); }
template <int PENDING>
DEVICE void copy_wait() {
  emulator::copy_wait(PENDING);
}
DEVICE void load_matrices(unsigned (&r)[4], const void* row) {
  emulator::load_matrices(r, row, false);
}
DEVICE void load_matrices_turned(unsigned (&r)[4], const void* row) {
  emulator::load_matrices(r, row, true);
}
DEVICE void multiply_add(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  emulator::multiply_add(d, a, b0, b1);
}
#endif
