// Attention on the tensor cores: bf16, heads whose size is a multiple of 8 up to 128, padded with
// zeros to P = 64, 96 or 128 in shared memory. Arrays as in attention.cu, on multiples of 16 bytes.
//
// Blocks of 4 warps own 64 rows (queries, or keys in the pass for keys), a warp 16 of them, and walk
// over tiles of 64 rows of the other side, the next of which is on its way meanwhile. Scores, their
// maxima, sums and gradients are float; probabilities and the scores' gradients are rounded to bf16
// for the second product. Softmax is online and in powers of two. The backward pass is two kernels,
// each of which owns what it sums up, so no order is left to chance.
// attention.cuh says how fragments lie.

#include "attention.cuh"

// Whether all of queries q0..q0 + 63 see all of keys k0..k0 + 63, and no bias is to be added. For all
// lanes of a warp: a mask that hides none of these keys costs one vote.
DEVICE bool all_seen(const Attention& a, int b, int q0, int k0) {
  int shift = a.keys - a.queries;
  bool inside = a.query_segments == 0 && a.bias == 0 && k0 + TILE <= a.keys && q0 + TILE <= a.queries &&
                (!a.causal || k0 + TILE - 1 <= shift + q0) &&
                (a.window == 0 || k0 > shift + q0 + TILE - 1 - a.window);
  if (!inside || a.key_mask == 0) {
    return inside;
  }
  int key = k0 + lane_id();
  return __all_sync(ALL_LANES, a.key_number(b, key) != 0 && a.key_number(b, key + 32) != 0);
}

// Scaled, biased scores in powers of two of this warp's 16 queries against 8 N keys; minus infinity
// where not seen. The lane's rows are queries `query` and query + 8.
template <int N>
DEVICE void finish_scores(float (&s)[N][4], const Attention& a, int b, int h, int query, int k0,
                          bool whole) {
  float scale = a.scale * LOG2E;
  if (whole) {
#pragma unroll
    for (int j = 0; j < N; j++) {
#pragma unroll
      for (int i = 0; i < 4; i++) {
        s[j][i] *= scale;
      }
    }
    return;
  }
  unsigned numbers[2] = {a.query_number(b, query), a.query_number(b, query + 8)};
#pragma unroll
  for (int j = 0; j < N; j++) {
#pragma unroll
    for (int e = 0; e < 2; e++) {
      int key = k0 + j * 8 + (lane_id() & 3) * 2 + e;
      unsigned number = a.key_number(b, key);
#pragma unroll
      for (int half = 0; half < 2; half++) {
        int own = query + half * 8;
        bool seen = own < a.queries && a.sees(own, key, number, numbers[half]);
        float v = s[j][half * 2 + e] * scale;
        if (seen && a.bias) {
          v += a.bias[((i64)h * a.queries + own) * a.keys + key] * LOG2E;
        }
        s[j][half * 2 + e] = seen ? v : -infinity();
      }
    }
  }
}

DEVICE float quad_max(float v) {
  v = fmaxf(v, __shfl_xor_sync(ALL_LANES, v, 1));
  return fmaxf(v, __shfl_xor_sync(ALL_LANES, v, 2));
}
DEVICE float quad_sum(float v) {
  v += __shfl_xor_sync(ALL_LANES, v, 1);
  return v + __shfl_xor_sync(ALL_LANES, v, 2);
}

// Shared: queries, then two stages of keys and values: 5 tiles.
template <int P>
DEVICE void attend(bf16* out, float* lse, const bf16* q, const bf16* k, const bf16* v,
                   const Attention& a) {
  DYNAMIC_SHARED(memory);
  const int BYTES = Place<P>::BYTES;
  int b = blockIdx.z, h = blockIdx.y, kv = h * a.kv_heads / a.q_heads, size = a.head_size;
  int q0 = (gridDim.x - 1 - blockIdx.x) * TILE;  // where causal the last have most to do: first
  i64 q_pitch = (i64)a.q_heads * size, k_pitch = (i64)a.kv_heads * size;
  const bf16* k_head = k + (i64)b * a.keys * k_pitch + kv * size;
  const bf16* v_head = v + (i64)b * a.keys * k_pitch + kv * size;
  int begin = a.first_key(q0) / TILE * TILE, end = a.end_key(min(q0 + TILE, a.queries) - 1);
  copy_rows<P>(memory, q + (i64)b * a.queries * q_pitch + h * size, q_pitch, q0, a.queries, size);
  unsigned char* stages = memory + BYTES;
  if (begin < end) {
    copy_rows<P>(stages, k_head, k_pitch, begin, a.keys, size);
    copy_rows<P>(stages + BYTES, v_head, k_pitch, begin, a.keys, size);
  }
  copy_commit();
  int query = q0 + warp_id() * 16 + (lane_id() >> 2), stage = 0;
  float sums[P / 8][4], top[2] = {-infinity(), -infinity()}, total[2] = {0, 0};
  clear(sums);
  for (int k0 = begin; k0 < end; k0 += TILE) {
    if (k0 + TILE < end) {
      unsigned char* next = stages + (stage ^ 1) * 2 * BYTES;
      copy_rows<P>(next, k_head, k_pitch, k0 + TILE, a.keys, size);
      copy_rows<P>(next + BYTES, v_head, k_pitch, k0 + TILE, a.keys, size);
    }
    copy_commit();
    copy_wait<1>();
    __syncthreads();
    const unsigned char* keys = stages + stage * 2 * BYTES;
    float s[8][4];
    multiply_rows<P, 8>(s, memory, keys, 0);
    finish_scores(s, a, b, h, query, k0, all_seen(a, b, q0, k0));
#pragma unroll
    for (int half = 0; half < 2; half++) {
      float higher = top[half];
#pragma unroll
      for (int j = 0; j < 8; j++) {
        higher = fmaxf(higher, fmaxf(s[j][half * 2], s[j][half * 2 + 1]));
      }
      higher = quad_max(higher);
      float from = higher > -infinity() ? higher : 0;
      float fade = exp2_fast(top[half] - from);
      top[half] = higher;
      total[half] *= fade;
#pragma unroll
      for (int j = 0; j < 8; j++) {
#pragma unroll
        for (int e = 0; e < 2; e++) {
          float p = exp2_fast(s[j][half * 2 + e] - from);
          s[j][half * 2 + e] = p;
          total[half] += p;
        }
      }
#pragma unroll
      for (int j = 0; j < P / 8; j++) {
        sums[j][half * 2] *= fade;
        sums[j][half * 2 + 1] *= fade;
      }
    }
    add_product<P, 8>(sums, s, keys + BYTES, 0);
    __syncthreads();  // this stage may be filled again
    stage ^= 1;
  }
  float factor[2];
#pragma unroll
  for (int half = 0; half < 2; half++) {
    float all = quad_sum(total[half]);
    int own = query + half * 8;
    factor[half] = all > 0 ? 1 / all : 0;
    if ((lane_id() & 3) == 0 && own < a.queries) {
      lse[((i64)b * a.q_heads + h) * a.queries + own] =
          all > 0 ? (top[half] + log2f(all)) * LN2 : BLIND;
    }
    if (all == 0 && a.uniform && own < a.queries) {  // the mean of all values
      factor[half] = 1 / (float)a.keys;
#pragma unroll
      for (int j = 0; j < P / 8; j++) {
        int column = j * 8 + (lane_id() & 3) * 2;
        float first = 0, second = 0;
        for (int key = 0; column < size && key < a.keys; key++) {
          first += to_float(v_head[key * k_pitch + column]);
          second += to_float(v_head[key * k_pitch + column + 1]);
        }
        sums[j][half * 2] = first;
        sums[j][half * 2 + 1] = second;
      }
    }
  }
  write_tile<P>(out + (i64)b * a.queries * q_pitch + h * size, q_pitch, q0 + warp_id() * 16,
                a.queries, size, sums, factor[0], factor[1]);
}

// Shared: queries and dOut, then two stages of keys and values: 6 tiles.
template <int P>
DEVICE void attend_backward_q(bf16* dq, const bf16* d_out, const bf16* q, const bf16* k,
                              const bf16* v, const float* lse, const float* delta,
                              const Attention& a) {
  DYNAMIC_SHARED(memory);
  const int BYTES = Place<P>::BYTES, N = 4;
  int b = blockIdx.z, h = blockIdx.y, kv = h * a.kv_heads / a.q_heads, size = a.head_size;
  int q0 = (gridDim.x - 1 - blockIdx.x) * TILE;
  i64 q_pitch = (i64)a.q_heads * size, k_pitch = (i64)a.kv_heads * size;
  i64 q_head = (i64)b * a.queries * q_pitch + h * size;
  const bf16* k_head = k + (i64)b * a.keys * k_pitch + kv * size;
  const bf16* v_head = v + (i64)b * a.keys * k_pitch + kv * size;
  int begin = a.first_key(q0) / TILE * TILE, end = a.end_key(min(q0 + TILE, a.queries) - 1);
  copy_rows<P>(memory, q + q_head, q_pitch, q0, a.queries, size);
  copy_rows<P>(memory + BYTES, d_out + q_head, q_pitch, q0, a.queries, size);
  unsigned char* stages = memory + 2 * BYTES;
  if (begin < end) {
    copy_rows<P>(stages, k_head, k_pitch, begin, a.keys, size);
    copy_rows<P>(stages + BYTES, v_head, k_pitch, begin, a.keys, size);
  }
  copy_commit();
  int query = q0 + warp_id() * 16 + (lane_id() >> 2), stage = 0;
  float logs[2], along[2], sums[P / 8][4];
#pragma unroll
  for (int half = 0; half < 2; half++) {
    i64 at = ((i64)b * a.q_heads + h) * a.queries + query + half * 8;
    bool there = query + half * 8 < a.queries;
    logs[half] = there ? lse[at] * LOG2E : 0;
    along[half] = there ? delta[at] : 0;
  }
  clear(sums);
  for (int k0 = begin; k0 < end; k0 += TILE) {
    if (k0 + TILE < end) {
      unsigned char* next = stages + (stage ^ 1) * 2 * BYTES;
      copy_rows<P>(next, k_head, k_pitch, k0 + TILE, a.keys, size);
      copy_rows<P>(next + BYTES, v_head, k_pitch, k0 + TILE, a.keys, size);
    }
    copy_commit();
    copy_wait<1>();
    __syncthreads();
    const unsigned char* keys = stages + stage * 2 * BYTES;
    bool whole = all_seen(a, b, q0, k0);
#pragma unroll 1
    for (int part = 0; part < TILE; part += 8 * N) {  // half of the keys at a time: registers
      float s[N][4], dp[N][4];
      multiply_rows<P, N>(s, memory, keys, part);
      finish_scores(s, a, b, h, query, k0 + part, whole);
      multiply_rows<P, N>(dp, memory + BYTES, keys + BYTES, part);
#pragma unroll
      for (int j = 0; j < N; j++) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
          float score = s[j][i];
          s[j][i] = score > -infinity()
                        ? exp2_fast(score - logs[i >> 1]) * (dp[j][i] - along[i >> 1])
                        : 0;
        }
      }
      add_product<P, N>(sums, s, keys, part);
    }
    __syncthreads();
    stage ^= 1;
  }
  write_tile<P>(dq + q_head, q_pitch, q0 + warp_id() * 16, a.queries, size, sums, a.scale, a.scale);
}

// The other way round: this warp's 16 keys are the rows, 32 queries at a time the columns. Shared:
// keys and values, two stages of queries and dOut, then of each stage's queries the logs of their
// sums (in powers of two) and their deltas: 6 tiles and 1024 bytes.
template <int P>
DEVICE void attend_backward_kv(bf16* dk, bf16* dv, const bf16* d_out, const bf16* q, const bf16* k,
                               const bf16* v, const float* lse, const float* delta,
                               const Attention& a) {
  DYNAMIC_SHARED(memory);
  const int BYTES = Place<P>::BYTES, N = 4;
  int b = blockIdx.z, kv = blockIdx.y, size = a.head_size, group = a.q_heads / a.kv_heads;
  int k0 = blockIdx.x * TILE;
  i64 q_pitch = (i64)a.q_heads * size, k_pitch = (i64)a.kv_heads * size;
  i64 k_head = (i64)b * a.keys * k_pitch + kv * size;
  int begin = a.first_query(k0) / TILE * TILE, end = a.end_query(min(k0 + TILE, a.keys) - 1);
  int each = begin < end ? (end - begin + TILE - 1) / TILE : 0, rounds = each * group;
  unsigned char* stages = memory + 2 * BYTES;
  float* figures = (float*)(memory + 6 * BYTES);  // [2 stages][logs, deltas][64]
  // Round i: head i / each of the group, and its tile i % each.
  auto fill = [&](int i) {
    int h = kv * group + i / each, q0 = begin + i % each * TILE, query = q0 + (threadIdx.x & 63);
    unsigned char* to = stages + (i & 1) * 2 * BYTES;
    i64 q_head = (i64)b * a.queries * q_pitch + h * size;
    copy_rows<P>(to, q + q_head, q_pitch, q0, a.queries, size);
    copy_rows<P>(to + BYTES, d_out + q_head, q_pitch, q0, a.queries, size);
    i64 at = ((i64)b * a.q_heads + h) * a.queries + query;
    bool there = query < a.queries;
    float figure = 0;
    if (there) {
      figure = threadIdx.x < TILE ? lse[at] * LOG2E : delta[at];
    }
    figures[(i & 1) * 2 * TILE + threadIdx.x] = figure;
  };
  copy_rows<P>(memory, k + k_head, k_pitch, k0, a.keys, size);
  copy_rows<P>(memory + BYTES, v + k_head, k_pitch, k0, a.keys, size);
  if (rounds > 0) {
    fill(0);
  }
  copy_commit();
  int key = k0 + warp_id() * 16 + (lane_id() >> 2);
  unsigned numbers[2] = {a.key_number(b, key), a.key_number(b, key + 8)};
  float scale = a.scale * LOG2E, even = 1 / (float)a.keys;
  float key_sums[P / 8][4], value_sums[P / 8][4];
  clear(key_sums);
  clear(value_sums);
  for (int i = 0; i < rounds; i++) {
    if (i + 1 < rounds) {
      fill(i + 1);
    }
    copy_commit();
    copy_wait<1>();
    __syncthreads();
    int h = kv * group + i / each, q0 = begin + i % each * TILE;
    bool whole = all_seen(a, b, q0, k0);
    const unsigned char* queries = stages + (i & 1) * 2 * BYTES;
    const float* logs = figures + (i & 1) * 2 * TILE;
#pragma unroll 1
    for (int part = 0; part < TILE; part += 8 * N) {
      float p[N][4], ds[N][4];
      multiply_rows<P, N>(p, memory, queries, part);
      multiply_rows<P, N>(ds, memory + BYTES, queries + BYTES, part);
#pragma unroll
      for (int j = 0; j < N; j++) {
#pragma unroll
        for (int e = 0; e < 2; e++) {
          int column = part + j * 8 + (lane_id() & 3) * 2 + e, query = q0 + column;
          float log_sum = logs[column], along = logs[TILE + column];
          unsigned number = whole ? 1 : a.query_number(b, query);
#pragma unroll
          for (int half = 0; half < 2; half++) {
            int own = key + half * 8, at = half * 2 + e;
            bool seen =
                whole || (query < a.queries && a.sees(query, own, numbers[half], number));
            float score = p[j][at] * scale;
            if (seen && a.bias) {
              score += a.bias[((i64)h * a.queries + query) * a.keys + own] * LOG2E;
            }
            float share = seen ? exp2_fast(score - log_sum) : 0;
            ds[j][at] = share * (ds[j][at] - along);
            bool blind = a.uniform && query < a.queries && log_sum < BLIND;  // minus infinity
            p[j][at] = blind ? even : share;
          }
        }
      }
      add_product<P, N>(value_sums, p, queries + BYTES, part);
      add_product<P, N>(key_sums, ds, queries, part);
    }
    __syncthreads();
  }
  int first = k0 + warp_id() * 16;
  write_tile<P>(dv + k_head, k_pitch, first, a.keys, size, value_sums, 1, 1);
  write_tile<P>(dk + k_head, k_pitch, first, a.keys, size, key_sums, a.scale, a.scale);
}

#define ATTENTION_KERNELS(P)                                                                      \
  BOUND_KERNEL(128, 2, attention_mma_bf16_##P, bf16* out, float* lse, const bf16* q,              \
               const bf16* k, const bf16* v, ATTENTION) {                                         \
    Attention a = ATTENTION_GIVEN;                                                                \
    attend<P>(out, lse, q, k, v, a);                                                              \
  }                                                                                               \
  BOUND_KERNEL(128, 2, attention_backward_q_mma_bf16_##P, bf16* dq, const bf16* dOut,             \
               const bf16* q, const bf16* k, const bf16* v, const float* lse,                     \
               const float* delta, ATTENTION) {                                                   \
    Attention a = ATTENTION_GIVEN;                                                                \
    attend_backward_q<P>(dq, dOut, q, k, v, lse, delta, a);                                       \
  }                                                                                               \
  BOUND_KERNEL(128, 2, attention_backward_kv_mma_bf16_##P, bf16* dk, bf16* dv, const bf16* dOut,  \
               const bf16* q, const bf16* k, const bf16* v, const float* lse,                     \
               const float* delta, ATTENTION) {                                                   \
    Attention a = ATTENTION_GIVEN;                                                                \
    attend_backward_kv<P>(dk, dv, dOut, q, k, v, lse, delta, a);                                  \
  }
ATTENTION_KERNELS(64)
ATTENTION_KERNELS(96)
ATTENTION_KERNELS(128)
