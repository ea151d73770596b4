// Tests of the emulator itself: that it shows what it says it shows. Then kernels on memory that
// ends where no byte may be read or written, each twice in another order, which must give the same
// bits. What they compute is compared elsewhere. Prints what failed; ends with 1 where anything did.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <random>
#include <sys/mman.h>
#include <unistd.h>

#include "emulator.hpp"

extern "C" int emulator_launch(const char*, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned,
                               unsigned, void**);
extern "C" const char* emulator_problem();

namespace {
int failures;
std::string running = "nothing";

void expect(bool good, const std::string& what) {
  if (!good) {
    failures++;
    printf("FAILED: %s %s\n", what.c_str(), emulator_problem());
  }
}

struct Grid {
  unsigned x, y = 1, z = 1;
};
template <class... A>
int launch(const char* kernel, Grid grid, unsigned block, unsigned shared, A... arguments) {
  void* pointers[] = {(void*)&arguments...};
  running = kernel;
  return emulator_launch(kernel, grid.x, grid.y, grid.z, block, 1, 1, shared, pointers);
}

// ---- the emulator

KERNEL(self_neighbour, int* out, int synchronised) {
  SHARED(int, values, 64);
  values[threadIdx.x] = (int)threadIdx.x;
  if (synchronised) {
    __syncthreads();
  }
  out[threadIdx.x] = values[(threadIdx.x + 1) % 64];
}
KERNEL(self_poison, float* out) {
  SHARED(float, values, 32);
  out[threadIdx.x] = values[threadIdx.x];
  values[threadIdx.x] = 1;
}
KERNEL(self_lost_lane, int* out) {
  if (threadIdx.x == 5) {
    return;
  }
  out[threadIdx.x] = __shfl_xor_sync(0xffffffffu, (int)threadIdx.x, 1);
}
KERNEL(self_apart, int* out) {  // lanes meet at different instructions
  out[threadIdx.x] = threadIdx.x < 7 ? (int)__ballot_sync(0xffffffffu, 1)
                                     : __shfl_xor_sync(0xffffffffu, (int)threadIdx.x, 1);
}
KERNEL(self_waiting, int* out) {
  if (threadIdx.x < 32) {
    __syncthreads();
  } else {
    __shfl_xor_sync(0xffffffffu, (int)threadIdx.x, threadIdx.x == 40 ? 1 : 1);
    if (threadIdx.x == 40) {
      __syncwarp();  // 31 lanes never come
    } else {
      __syncthreads();
    }
  }
  out[threadIdx.x] = 1;
}
KERNEL(self_shuffle, int* out) {
  int sum = (int)threadIdx.x;
  for (int d = 16; d > 0; d >>= 1) {
    sum += __shfl_xor_sync(0xffffffffu, sum, d);
  }
  out[threadIdx.x] = sum;
}
KERNEL(self_behind, int* out) {
  DYNAMIC_SHARED(memory);
  ((int*)memory)[threadIdx.x] = 0;
  out[threadIdx.x] = 0;
}
KERNEL(self_odd, char* out) { *(uint4*)emulator::aligned16(out + 8) = make_uint4(0, 0, 0, 0); }
KERNEL(self_copy, float* out, const float* in, int waited) {
  DYNAMIC_SHARED(memory);
  float* values = (float*)memory;
  emulator::copy_async(values + threadIdx.x * 4, in + threadIdx.x * 4, threadIdx.x != 3);
  emulator::copy_commit();
  if (waited) {
    emulator::copy_wait(0);
  }
  __syncthreads();
  for (int i = 0; i < 4; i++) {
    out[threadIdx.x * 4 + i] = values[threadIdx.x * 4 + i];
  }
}
// d [16, 8] = a [16, 16] b, b given as [8, 16] or, turned, as [16, 8]
KERNEL(self_product, float* d, const uint16_t* a, const uint16_t* b, int turned) {
  int lane = emulator::now->lane, j = lane / 8, i = lane % 8;
  unsigned left[4], right[4];
  emulator::load_matrices(left, a + (lane % 16) * 16 + lane / 16 * 8, false);
  const uint16_t* row = turned ? b + (j % 2 * 8 + i) * 8 : b + i * 16 + j % 2 * 8;
  emulator::load_matrices(right, row, turned != 0);
  float sums[4] = {0, 0, 0, 0};
  emulator::multiply_add(sums, left, right[0], right[1]);
  for (int n = 0; n < 4; n++) {
    d[(lane / 4 + n / 2 * 8) * 8 + lane % 4 * 2 + n % 2] = sums[n];
  }
}

void the_emulator_shows_faults() {
  int out[64];
  bool wrong = false;
  for (int i = 0; i < 8; i++) {
    launch("self_neighbour", {1}, 64, 0, out, 1);
    for (int t = 0; t < 64; t++) {
      expect(out[t] == (t + 1) % 64, "a barrier orders neighbours");
    }
    launch("self_neighbour", {1}, 64, 0, out, 0);
    for (int t = 0; t < 64; t++) {
      wrong |= out[t] != (t + 1) % 64;
    }
  }
  expect(wrong, "a missing barrier shows");
  float values[128];
  launch("self_poison", {3}, 32, 0, values);
  for (int t = 0; t < 32; t++) {
    expect(std::isnan(values[t]), "shared memory is NaN in every block");
  }
  expect(launch("self_lost_lane", {1}, 32, 0, out) == 3, "a lane that does not come is an error");
  expect(launch("self_apart", {1}, 32, 0, out) == 3, "lanes at different instructions are an error");
  expect(launch("self_waiting", {1}, 64, 0, out) == 3, "a barrier not all reach is an error");
  expect(launch("self_shuffle", {1}, 32, 0, out) == 0 && out[0] == 496 && out[31] == 496, "shuffles");
  expect(launch("self_behind", {1}, 32, 128, out) == 0, "shared memory within bounds");
  expect(launch("self_behind", {1}, 33, 128, out) == 3, "shared memory out of bounds is an error");
  expect(launch("self_odd", {1}, 1, 0, values) == 3, "an access off its alignment is an error");
  expect(launch("no_such_kernel", {1}, 1, 0) == 1, "an unknown name");
  expect(launch("self_odd", {1}, 2048, 0, values) == 2, "a block too large");
  alignas(16) float in[64];
  for (int i = 0; i < 64; i++) {
    in[i] = (float)i;
  }
  launch("self_copy", {1}, 16, 256, values, (const float*)in, 1);
  expect(values[0] == 0 && values[63] == 63 && values[12] == 0 && values[15] == 0,
         "asynchronous copies, and zeros for what is not valid");
  launch("self_copy", {1}, 16, 256, values, (const float*)in, 0);
  expect(std::isnan(values[5]), "an asynchronous copy nobody waited for is NaN");
}

void the_tensor_cores_multiply() {
  alignas(16) uint16_t a[256], b[128], turned[128];
  std::mt19937 random(7);
  auto number = [&] { return emulator::to_bf16((float)((int)(random() % 17) - 8)); };
  auto value = [](uint16_t bits) { return __uint_as_float((unsigned)bits << 16); };
  for (auto& x : a) x = number();
  for (auto& x : b) x = number();
  for (int k = 0; k < 16; k++) {
    for (int n = 0; n < 8; n++) {
      turned[k * 8 + n] = b[n * 16 + k];
    }
  }
  float plain[128], other[128];
  launch("self_product", {1}, 32, 0, plain, (const uint16_t*)a, (const uint16_t*)b, 0);
  launch("self_product", {1}, 32, 0, other, (const uint16_t*)a, (const uint16_t*)turned, 1);
  for (int m = 0; m < 16; m++) {
    for (int n = 0; n < 8; n++) {
      float sum = 0;
      for (int k = 0; k < 16; k++) {
        sum += value(a[m * 16 + k]) * value(b[n * 16 + k]);
      }
      expect(plain[m * 8 + n] == sum && other[m * 8 + n] == sum, "a product of fragments");
    }
  }
}

// ---- kernels at the edge of memory

// Memory whose last byte is followed by a page nobody may touch. At its exact end, or on a multiple
// of 16 with up to 15 bytes behind it.
struct Edge {
  unsigned char *pages, *at;
  size_t bytes, all;
  Edge(size_t n, bool exact) : bytes(n) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    all = (n + 15 + page - 1) / page * page + page;
    pages = (unsigned char*)mmap(nullptr, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(pages, 0xff, all - page);
    mprotect(pages + all - page, page, PROT_NONE);
    at = pages + all - page - (exact ? n : (n + 15) / 16 * 16);
  }
  ~Edge() { munmap(pages, all); }
  Edge(const Edge&) = delete;
};

// Arrays of one run; written ones are compared between runs.
struct Run {
  bool exact;
  std::mt19937 random{11};
  std::vector<std::unique_ptr<Edge>> arrays;
  std::vector<Edge*> written;

  unsigned char* bytes(size_t n) {
    arrays.push_back(std::make_unique<Edge>(n, exact));
    return arrays.back()->at;
  }
  float* floats(size_t n) {
    auto* x = (float*)bytes(n * 4);
    for (size_t i = 0; i < n; i++) x[i] = (float)(random() % 2001) / 1000 - 1;
    return x;
  }
  uint16_t* halves(size_t n) {
    auto* x = (uint16_t*)bytes(n * 2);
    for (size_t i = 0; i < n; i++) x[i] = emulator::to_bf16((float)(random() % 2001) / 1000 - 1);
    return x;
  }
  int* below(size_t n, int bound) {
    auto* x = (int*)bytes(n * 4);
    for (size_t i = 0; i < n; i++) x[i] = (int)(random() % (unsigned)bound);
    return x;
  }
  unsigned char* out(size_t n) {
    auto* p = bytes(n);
    written.push_back(arrays.back().get());
    return p;
  }
  template <class... A>
  void kernel(const char* name, Grid grid, unsigned block, unsigned shared, A... a) {
    expect(launch(name, grid, block, shared, a...) == 0, name);
  }
};

unsigned over(long long n, long long by) { return (unsigned)((n + by - 1) / by); }

void twice(const std::function<void(Run&)>& body) {
  for (bool exact : {false, true}) {
    Run first{exact}, second{exact};
    body(first);
    body(second);
    for (size_t i = 0; i < first.written.size(); i++) {
      expect(memcmp(first.written[i]->at, second.written[i]->at, first.written[i]->bytes) == 0,
             std::string("the same bits twice: ") + running);
    }
  }
}

void rows_and_norms(long long rows, long long width) {
  twice([=](Run& r) {
    auto* x = r.halves(rows * width);
    auto* w = r.halves(width);
    int* fault = r.below(1, 1);
    r.kernel("rms_norm_bf16", {(unsigned)rows}, 256, 0, r.out(rows * width * 2), r.out(rows * 4), x, w,
             rows, width, 1e-5f);
    r.kernel("layer_norm_bf16", {(unsigned)rows}, 256, 0, r.out(rows * width * 2), r.out(rows * 4),
             r.out(rows * 4), x, w, w, rows, width, 1e-5f);
    r.kernel("column_sums_bf16", {over(width, 256), over(rows, 3)}, 256, 0,
             r.out(over(rows, 3) * width * 4), x, rows, width, 3LL);
    r.kernel("add_bf16", {over(rows * width, 2048)}, 256, 0, r.out(rows * width * 2), x, x, rows * width);
    r.kernel("cast_bf16_f32", {over(rows * width, 2048)}, 256, 0, r.out(rows * width * 4), x, rows * width);
    r.kernel("gated_bf16", {1}, 256, 0, r.out(rows * width), x, rows, width / 2, 0);
    auto* places = r.below(rows, (int)rows);
    r.kernel("gather_rows", {(unsigned)rows}, 256, 0, r.out(rows * width * 2), x, places, rows, width * 2,
             rows, fault);
    auto* table = r.out(rows * width * 4);
    memset(table, 0, rows * width * 4);
    r.kernel("scatter_rows_bf16", {(unsigned)rows}, 256, 0, table, x, places, rows, width, rows, fault);
    r.kernel("softmax_bf16", {over(rows, 4)}, 128, 0, r.out(rows * width * 2), x, rows, width);
    auto* targets = r.below(rows, (int)width);
    auto* lse = (float*)r.out(rows * 4);
    r.kernel("cross_entropy_bf16", {(unsigned)rows}, 256, 0, r.out(rows * 4), lse, x, targets,
             (float*)nullptr, 0.f, rows, width, fault);
    r.kernel("squares_bf16", {over(rows * width, 64)}, 256, 0, r.out(over(rows * width, 64) * 8), x,
             rows * width, 64LL);
    r.kernel("rotate_bf16", {(unsigned)rows}, 256, 0, r.out(rows * (width / 2 * 2) * 2), x, places,
             r.floats(rows * (width / 2)), r.floats(rows * (width / 2)), rows, width, 0LL, 1,
             (int)(width / 2), rows, 0, fault);
    expect(*fault == 0, "no row out of range");
  });
}

void routing(long long tokens, int experts, int k, long long width) {
  twice([=](Run& r) {
    long long n = tokens * k;
    auto* scores = r.floats(tokens * experts);
    auto* chosen = (int*)r.out(n * 4);
    int* fault = r.below(1, 1);
    unsigned chunks = over(n, 256);
    r.kernel("top_k_f32", {over(tokens, 128)}, 128, 0, chosen, scores, tokens, experts, k);
    auto* counts = (int*)r.out(chunks * experts * 4);
    auto* offsets = (int*)r.out((experts + 1) * 4);
    r.kernel("dispatch_count", {chunks}, 256, experts * 4, counts, chosen, n, experts, fault);
    r.kernel("dispatch_offsets", {1}, 256, 0, counts, offsets, (long long)chunks, experts);
    expect(offsets[experts] == n, "all choices have a place");
    auto* source = (int*)r.out(n * 4);
    auto* slot = (int*)r.out(n * 4);
    r.kernel("dispatch_place", {chunks}, 256, 0, source, slot, counts, chosen, n, experts, k);
    auto* rows = r.halves(n * width);
    auto* weights = r.floats(n);
    r.kernel("unpermute_bf16", {(unsigned)tokens}, 256, 0, r.out(tokens * width * 2), rows, slot, weights,
             tokens, k, width);
    r.kernel("combine_backward_bf16", {(unsigned)tokens}, 256, 0, r.out(n * width * 2), r.out(n * 4),
             r.halves(tokens * width), rows, weights, slot, tokens, k, width);
  });
}

void products(std::vector<int> counts, long long in, long long out, int parts) {
  twice([=](Run& r) {
    int experts = (int)counts.size();
    auto* offsets = r.below(experts + 1, 1);
    for (int e = 0; e < experts; e++) offsets[e + 1] = offsets[e] + counts[e];
    long long rows = offsets[experts];
    auto* ends = r.below(parts, 1);
    for (int p = 0; p < parts; p++) ends[p] = (int)(p + 1 == parts ? out : out * (p + 1) / parts);
    auto* narrow = (uint16_t**)r.bytes(sizeof(void*) * experts * parts);
    auto* wide = (float**)r.bytes(sizeof(void*) * experts * parts);
    for (int i = 0; i < experts * parts; i++) {
      int p = i % parts, high = ends[p] - (p ? ends[p - 1] : 0);
      narrow[i] = r.halves(high * in);
      wide[i] = r.floats(high * in);
    }
    auto *x = r.halves(rows * in), *dy = r.halves(rows * out);
    auto *xf = r.floats(rows * in), *dyf = r.floats(rows * out);
    std::vector<unsigned char*> results[2];
    for (bool hopper : {false, true}) {
      unsigned shared = hopper ? 197632 : 98304;
      auto& of = results[hopper];
      of = {r.out(rows * out * 2), r.out(rows * in * 2)};
      r.kernel(hopper ? "grouped_product_wgmma_bf16" : "grouped_product_bf16",
               {over(out, 256), over(rows, 128) + experts}, 256, shared, of[0], x, narrow, ends, parts,
               offsets, experts, rows, in, out);
      r.kernel(hopper ? "grouped_transposed_wgmma_bf16" : "grouped_transposed_bf16",
               {over(in, 256), over(rows, 128) + experts}, 256, shared, of[1], dy, narrow, ends, parts,
               offsets, experts, rows, in, out);
      for (int e = 0; e < experts; e++) {
        of.push_back(r.out(out * in * 4));
        r.kernel(hopper ? "grouped_gradient_wgmma_bf16" : "grouped_gradient_bf16",
                 {over(in, 256), over(out, 128)}, 256, shared, of.back(), dy, out, 0LL, x, offsets, e, out, in);
      }
    }
    auto narrow_at = [](unsigned char* p, long long i) {
      uint16_t bits;
      memcpy(&bits, p + i * 2, 2);
      return __uint_as_float((unsigned)bits << 16);
    };
    auto wide_at = [](unsigned char* p, long long i) {
      float v;
      memcpy(&v, p + i * 4, 4);
      return v;
    };
    for (size_t n = 0; n < results[0].size(); n++) {  // wgmma against mma.sync
      long long size = n == 0 ? rows * out : n == 1 ? rows * in : out * in;
      for (long long i = 0; i < size; i++) {
        float want = n < 2 ? narrow_at(results[0][n], i) : wide_at(results[0][n], i);
        float got = n < 2 ? narrow_at(results[1][n], i) : wide_at(results[1][n], i);
        bool near = std::fabs(got - want) <= (n < 2 ? 0.02f : 1e-4f) * std::fmax(1.f, std::fabs(want));
        expect(near, "wgmma gives what mma.sync gives");
        if (!near) {
          break;
        }
      }
    }
    r.kernel("grouped_product_f32", {over(out, 64), over(rows, 64) + experts}, 256, 0,
             r.out(rows * out * 4), xf, wide, ends, parts, offsets, experts, rows, in, out);
    r.kernel("grouped_transposed_f32", {over(in, 64), over(rows, 64) + experts}, 256, 0,
             r.out(rows * in * 4), dyf, wide, ends, parts, offsets, experts, rows, in, out);
    for (int e = 0; e < experts; e++) {
      r.kernel("grouped_gradient_f32", {over(in, 64), over(out, 64)}, 256, 0, r.out(out * in * 4), dyf,
               out, 0LL, xf, offsets, e, out, in);
    }
  });
}

void attention(int batch, int queries, int keys, int heads, int kv, int size, int causal, int window) {
  twice([=](Run& r) {
    size_t rows = (size_t)batch * queries, row = (size_t)heads * size;
    size_t key_rows = (size_t)batch * keys, key_row = (size_t)kv * size;
    auto *q = r.halves(rows * row), *k = r.halves(key_rows * key_row), *v = r.halves(key_rows * key_row);
    auto* d = r.halves(rows * row);
    auto* seen = r.bytes(key_rows);
    for (size_t i = 0; i < key_rows; i++) seen[i] = r.random() % 4 != 0;
    auto* lse = (float*)r.out(rows * heads * 4);
    auto* delta = (float*)r.out(rows * heads * 4);
    auto* out = r.out(rows * row * 2);
    bool fast = size % 8 == 0 && !r.exact;
    unsigned P = size <= 64 ? 64 : size <= 96 ? 96 : 128, own = fast ? 64 : 16;
    auto name = [&](const char* stem) {
      return std::string(stem) + (fast ? "_mma_bf16_" + std::to_string(P) : "_bf16");
    };
    unsigned plain = 4 * (32 * size + 64 * (size + 1));
    auto all = [&](const std::string& kernel, Grid grid, unsigned shared, auto... a) {
      r.kernel(kernel.c_str(), grid, 128, shared, a..., seen, (unsigned char*)nullptr, (float*)nullptr,
               batch, queries, keys, heads, kv, size, 0.3f, causal, window, 0);
    };
    Grid over_q{over(queries, own), (unsigned)heads, (unsigned)batch};
    Grid over_k{over(keys, own), (unsigned)kv, (unsigned)batch};
    all(name("attention"), over_q, fast ? 2 * P * 320 : plain, out, lse, q, k, v);
    r.kernel("attention_dots_bf16", {over(rows * heads, 4)}, 128, 0, delta, d, out, batch, queries, heads, size);
    all(name("attention_backward_q"), over_q, fast ? 2 * P * 384 : plain, r.out(rows * row * 2), d, q, k, v,
        lse, delta);
    all(name("attention_backward_kv"), over_k, fast ? 2 * P * 384 + 1024 : plain,
        r.out(key_rows * key_row * 2), r.out(key_rows * key_row * 2), d, q, k, v, lse, delta);
  });
}

void out_of_bounds(int) {
  char text[200];
  int n = snprintf(text, sizeof text, "FAILED: %s reads or writes outside of its arrays\n", running.c_str());
  _exit(write(1, text, (size_t)n) > 0 ? 1 : 2);
}
}  // namespace

int main() {
  stack_t own{};
  own.ss_sp = malloc(1 << 16);
  own.ss_size = 1 << 16;
  sigaltstack(&own, nullptr);
  struct sigaction act {};
  act.sa_handler = out_of_bounds;
  act.sa_flags = SA_ONSTACK;
  sigaction(SIGSEGV, &act, nullptr);

  the_emulator_shows_faults();
  the_tensor_cores_multiply();
  rows_and_norms(5, 7);
  rows_and_norms(9, 64);
  rows_and_norms(3, 130);
  routing(1, 1, 1, 8);
  routing(300, 9, 3, 33);
  routing(70, 4, 2, 64);
  products({3, 0, 5}, 16, 24, 2);
  products({130, 0, 20}, 72, 40, 3);
  products({4, 1}, 33, 17, 2);
  products({0, 0}, 8, 8, 1);
  products({5}, 264, 330, 1);  // more steps than the ring has stages
  attention(1, 7, 7, 2, 2, 10, 1, 0);
  attention(2, 70, 130, 4, 2, 40, 1, 0);
  attention(1, 130, 130, 2, 1, 72, 1, 40);
  attention(1, 3, 65, 1, 1, 128, 0, 0);
  printf(failures ? "%d failed\n" : "all well\n", failures);
  return failures ? 1 : 0;
}
