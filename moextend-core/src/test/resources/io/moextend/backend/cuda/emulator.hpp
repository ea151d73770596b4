// A device for one host thread: put in front of common.cuh and a .cu, it lets g++ compile the very
// text that NVRTC compiles, and emulator.cpp runs it. What is kept of the real thing:
//  - the threads of a block are fibers that stop at barriers and at warps' common instructions, and
//    run in between in an order that changes from launch to launch: a missing barrier shows;
//  - blocks run one after the other in scrambled order: a dependency between blocks shows;
//  - shared memory starts as NaN in every block, and has zones behind it that are looked at;
//  - asynchronous copies arrive when they are waited for, NaN until then; products of warp groups
//    read shared memory when they are waited for;
//  - accesses of 16 bytes off a multiple of 16, barriers that not all threads reach and common
//    instructions that lanes reach at different places are errors.
// What is not: speed, memory order within a run of one thread, bank conflicts, exact rounding of
// the tensor cores (here sums of 16 products in float, in order).
#pragma once
#define MOEXTEND_EMULATOR 1
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#define __device__
#define __forceinline__ inline
#define __global__

struct uint2 {
  unsigned x, y;
};
struct float2 {
  float x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
} __attribute__((may_alias));
struct alignas(16) float4 {
  float x, y, z, w;
} __attribute__((may_alias));
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
inline float2 make_float2(float x, float y) { return {x, y}; }

namespace emulator {
struct Place {
  unsigned x, y, z;
};
constexpr int WARP = 32;

// What one lane brings to an instruction of its warp, and where it finds its part of the result.
using Deposit = void*;
using Action = void (*)(Deposit* lanes, unsigned mask);

struct Pending {
  void* to;
  const void* from;
  bool valid;
  int group;
};

// A product by a group of four warps, of which this lane's part is still to be done.
struct Product {
  float (*d)[4];
  uint64_t a, b;
  bool more, a_turned, b_turned;
  int group;
};

struct Fiber {
  void* stack_pointer;
  Place thread;
  int lane, warp;
  bool running, finished;
  std::vector<Pending> copies;
  int group;
  std::vector<Product> products;
  int product_group;
};

extern Fiber* now;
extern Place block_index, block_size, grid_size;

void fail(const std::string& what);
void barrier();
void collective(unsigned mask, Action act, Deposit own);
void* shared(const void* tag, size_t bytes);
void* dynamic_shared();
const void* aligned16(const void* p);
inline void* aligned16(void* p) { return const_cast<void*>(aligned16((const void*)p)); }
void copy_async(void* shared, const void* from, bool valid);
void copy_commit();
void copy_wait(int pending);
void load_matrices(unsigned (&r)[4], const void* row, bool turned);
void multiply_add(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1);
unsigned shared_address(const void* p);
const void* shared_at(unsigned address);
void multiply_group(float (&d)[32][4], uint64_t a, uint64_t b, bool more, bool a_turned, bool b_turned);
void products_commit();
void products_wait(int pending);
uint16_t to_bf16(float x);
uint16_t to_half(float x);
float from_half(uint16_t bits);

// ---- kernels by name

using Call = void (*)(void (*kernel)(), void** arguments);
void enter(const char* name, void (*kernel)(), Call call, int threads);

template <class... A, size_t... I>
void call(void (*kernel)(), void** arguments, std::index_sequence<I...>) {
  ((void (*)(A...))kernel)(*(A*)arguments[I]...);
}
template <class... A>
struct Entry {
  static void invoke(void (*kernel)(), void** arguments) {
    call<A...>(kernel, arguments, std::index_sequence_for<A...>());
  }
};
struct Registration {
  template <class... A>
  Registration(const char* name, void (*kernel)(A...), int threads) {
    enter(name, (void (*)())kernel, &Entry<A...>::invoke, threads);
  }
};

// ---- instructions of a warp

template <class T>
struct Exchange {
  T value, result;
  int from;
};
template <class T>
T exchange(unsigned mask, T value, int from) {
  Exchange<T> own{value, value, from};
  collective(
      mask,
      [](Deposit* lanes, unsigned present) {
        for (int l = 0; l < WARP; l++) {
          if (present >> l & 1) {
            auto* e = (Exchange<T>*)lanes[l];
            if (e->from < 0 || e->from >= WARP || !(present >> e->from & 1)) {
              memset(&e->result, 0xff, sizeof(T));  // what a lane that is not there holds
            } else {
              e->result = ((Exchange<T>*)lanes[e->from])->value;
            }
          }
        }
      },
      &own);
  return own.result;
}
struct Vote {
  unsigned value, result;
};
unsigned ballot(unsigned mask, bool vote);
unsigned match(unsigned mask, unsigned value);
}  // namespace emulator

#define threadIdx (emulator::now->thread)
#define blockIdx emulator::block_index
#define blockDim emulator::block_size
#define gridDim emulator::grid_size

#define BOUND_KERNEL(threads, blocks, name, ...)                                      \
  extern "C" void name(__VA_ARGS__);                                                  \
  static const emulator::Registration name##_is_known(#name, name, threads);          \
  extern "C" void name(__VA_ARGS__)
#define KERNEL(name, ...) BOUND_KERNEL(1024, 1, name, __VA_ARGS__)
// One array for each place in the text and each instance of a template around it.
#define SHARED(type, name, count)        \
  static const char name##_tag = 0;      \
  type* const name = (type*)emulator::shared(&name##_tag, sizeof(type) * (count))
#define DYNAMIC_SHARED(name) unsigned char* const name = (unsigned char*)emulator::dynamic_shared()

inline void __syncthreads() { emulator::barrier(); }
inline void __syncwarp(unsigned mask = 0xffffffffu) {
  emulator::collective(mask, [](emulator::Deposit*, unsigned) {}, nullptr);
}
template <class T>
T __shfl_sync(unsigned mask, T v, int from) {
  return emulator::exchange(mask, v, from & 31);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T v, int d) {
  return emulator::exchange(mask, v, emulator::now->lane ^ d);
}
inline unsigned __ballot_sync(unsigned mask, int vote) { return emulator::ballot(mask, vote != 0); }
inline int __any_sync(unsigned mask, int vote) { return emulator::ballot(mask, vote != 0) != 0; }
inline int __all_sync(unsigned mask, int vote) { return emulator::ballot(mask, vote == 0) == 0; }
inline unsigned __match_any_sync(unsigned mask, unsigned v) { return emulator::match(mask, v); }
inline int __popc(unsigned v) { return __builtin_popcount(v); }
inline int __ffs(int v) { return __builtin_ffs(v); }
inline int atomicAdd(int* p, int v) {  // of whole numbers alone: their order does not matter
  int before = *p;
  *p += v;
  return before;
}

inline float __uint_as_float(unsigned v) {
  float x;
  memcpy(&x, &v, 4);
  return x;
}
inline unsigned __float_as_uint(float x) {
  unsigned v;
  memcpy(&v, &x, 4);
  return v;
}
inline float __int_as_float(int v) { return __uint_as_float((unsigned)v); }
inline float rsqrtf(float x) { return 1 / sqrtf(x); }
inline float __expf(float x) { return expf(x); }
inline float __logf(float x) { return logf(x); }
inline int min(int a, int b) { return a < b ? a : b; }
inline int max(int a, int b) { return a > b ? a : b; }
