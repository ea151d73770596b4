// Attention by plain multiply-adds, for f32 and for heads the tensor cores' kernels do not take (up
// to 256). No array of queries times keys is ever whole. Everything is computed and summed in
// float; softmax runs online over tiles of 32 keys.
//
// q, out, dOut: [batch queries, q_heads head_size]; k, v: [batch keys, kv_heads head_size]; lse,
// delta: [batch, q_heads, queries]; bias: [q_heads, queries, keys]. Query head h reads key head h
// kv_heads / q_heads. Blocks of 128 threads own 16 rows (queries, or keys in the pass for keys), a
// warp 4 of them. For scores the lanes stand side by side on the 32 rows of the other side's tile,
// for results on columns: lane, lane + 32, ... of CHUNKS 32.

#include "attention.cuh"

const int OWN = 16, MINE = 4, OTHERS = 32;

// Rows [first, first + count) of a head to shared memory as floats; zeros from `limit` on.
template <class T>
DEVICE void stage_rows(float* to, int pitch, const T* head, i64 row_pitch, int first, int count,
                       int limit, int size) {
  for (int i = threadIdx.x; i < count * size; i += blockDim.x) {
    int row = i / size, column = i - row * size;
    to[row * pitch + column] =
        first + row < limit ? to_float(head[(first + row) * row_pitch + column]) : 0;
  }
}

// dots[r] = own row 4 warp + r times the lane's row of the tile
DEVICE void dot_rows(float (&dots)[MINE], const float* own, const float* tile, int pitch, int size) {
#pragma unroll
  for (int r = 0; r < MINE; r++) {
    dots[r] = 0;
  }
  const float* mine = own + warp_id() * MINE * size;
  const float* other = tile + lane_id() * pitch;
  for (int d = 0; d < size; d++) {
    float x = other[d];
#pragma unroll
    for (int r = 0; r < MINE; r++) {
      dots[r] += mine[r * size + d] * x;
    }
  }
}

// sums[r][c] += over the tile's rows j: factor[r][j] tile[j][lane + 32 c]. factors: this warp's
// [MINE][OTHERS] in shared memory.
template <int CHUNKS>
DEVICE void add_rows(float (&sums)[MINE][CHUNKS], const float* factors, const float* tile, int pitch,
                     int size) {
  for (int j = 0; j < OTHERS; j++) {
#pragma unroll
    for (int c = 0; c < CHUNKS; c++) {
      int column = lane_id() + 32 * c;
      float x = column < size ? tile[j * pitch + column] : 0;
#pragma unroll
      for (int r = 0; r < MINE; r++) {
        sums[r][c] += factors[r * OTHERS + j] * x;
      }
    }
  }
}

// Writes own rows that exist, each times its factor.
template <int CHUNKS, class T>
DEVICE void write_rows(T* head, i64 row_pitch, int first, int limit, int size,
                       const float (&sums)[MINE][CHUNKS], const float (&factor)[MINE]) {
#pragma unroll
  for (int r = 0; r < MINE; r++) {
    int row = first + warp_id() * MINE + r;
#pragma unroll
    for (int c = 0; c < CHUNKS; c++) {
      int column = lane_id() + 32 * c;
      if (row < limit && column < size) {
        head[row * row_pitch + column] = rounded<T>(sums[r][c] * factor[r]);
      }
    }
  }
}

// A head's rows of a sequence.
template <class T>
DEVICE T* head_of(T* rows, i64 sequence_row, int heads, int head, int size) {
  return rows + (sequence_row * heads + head) * size;
}

// Shared: queries [16, D], keys [32, D + 1], values [32, D] floats.
template <int CHUNKS, class T>
DEVICE void attend(T* out, float* lse, const T* q, const T* k, const T* v, const Attention& a) {
  DYNAMIC_SHARED(memory);
  SHARED(float, factors, 4 * MINE * OTHERS);
  int b = blockIdx.z, h = blockIdx.y, kv = h * a.kv_heads / a.q_heads, size = a.head_size;
  int first = blockIdx.x * OWN, last = min(first + OWN, a.queries) - 1;
  float* queries = (float*)memory;
  float* keys = queries + OWN * size;
  float* values = keys + OTHERS * (size + 1);
  i64 q_pitch = (i64)a.q_heads * size, k_pitch = (i64)a.kv_heads * size;
  const T* k_head = head_of(k, (i64)b * a.keys, a.kv_heads, kv, size);
  const T* v_head = head_of(v, (i64)b * a.keys, a.kv_heads, kv, size);
  stage_rows(queries, size, head_of(q, (i64)b * a.queries, a.q_heads, h, size), q_pitch, first, OWN,
             a.queries, size);
  float* mine = factors + warp_id() * MINE * OTHERS;
  float sums[MINE][CHUNKS], top[MINE], total[MINE];  // total: of this lane's keys
  clear(sums);
#pragma unroll
  for (int r = 0; r < MINE; r++) {
    top[r] = -infinity();
    total[r] = 0;
  }
  for (int k0 = a.first_key(first); k0 < a.end_key(last); k0 += OTHERS) {
    __syncthreads();
    stage_rows(keys, size + 1, k_head, k_pitch, k0, OTHERS, a.keys, size);
    stage_rows(values, size, v_head, k_pitch, k0, OTHERS, a.keys, size);
    __syncthreads();
    float score[MINE];
    dot_rows(score, queries, keys, size + 1, size);
    int key = k0 + lane_id();
    unsigned number = a.key_number(b, key);
#pragma unroll
    for (int r = 0; r < MINE; r++) {
      int query = first + warp_id() * MINE + r;
      bool seen = query < a.queries && a.sees(query, key, number, a.query_number(b, query));
      float s = score[r] * a.scale;
      if (seen && a.bias) {
        s += a.bias[((i64)h * a.queries + query) * a.keys + key];
      }
      s = seen ? s : -infinity();
      float higher = fmaxf(top[r], warp_max(s));
      float from = higher > -infinity() ? higher : 0;
      float p = expf(s - from), fade = expf(top[r] - from);
      top[r] = higher;
      total[r] = total[r] * fade + p;
#pragma unroll
      for (int c = 0; c < CHUNKS; c++) {
        sums[r][c] *= fade;
      }
      mine[r * OTHERS + lane_id()] = p;
    }
    __syncwarp();
    add_rows(sums, mine, values, size, size);
  }
  float factor[MINE];
#pragma unroll
  for (int r = 0; r < MINE; r++) {
    int query = first + warp_id() * MINE + r;
    float all = warp_sum(total[r]);
    factor[r] = all > 0 ? 1 / all : 0;
    if (lane_id() == 0 && query < a.queries) {
      lse[((i64)b * a.q_heads + h) * a.queries + query] = all > 0 ? top[r] + logf(all) : BLIND;
    }
    if (all == 0 && a.uniform) {  // the mean of all values, column by column
      factor[r] = 1 / (float)a.keys;
#pragma unroll
      for (int c = 0; c < CHUNKS; c++) {
        int column = lane_id() + 32 * c;
        float sum = 0;
        for (int key = 0; column < size && key < a.keys; key++) {
          sum += to_float(v_head[key * k_pitch + column]);
        }
        sums[r][c] = sum;
      }
    }
  }
  write_rows(head_of(out, (i64)b * a.queries, a.q_heads, h, size), q_pitch, first, a.queries, size,
             sums, factor);
}

// dq = scale sum over keys of p (dOut v - delta) k. Shared: queries, dOut [16, D], keys, values [32,
// D + 1].
template <int CHUNKS, class T>
DEVICE void attend_backward_q(T* dq, const T* d_out, const T* q, const T* k, const T* v,
                              const float* lse, const float* delta, const Attention& a) {
  DYNAMIC_SHARED(memory);
  SHARED(float, factors, 4 * MINE * OTHERS);
  int b = blockIdx.z, h = blockIdx.y, kv = h * a.kv_heads / a.q_heads, size = a.head_size;
  int first = blockIdx.x * OWN, last = min(first + OWN, a.queries) - 1;
  float* queries = (float*)memory;
  float* ds = queries + OWN * size;
  float* keys = ds + OWN * size;
  float* values = keys + OTHERS * (size + 1);
  i64 q_pitch = (i64)a.q_heads * size, k_pitch = (i64)a.kv_heads * size;
  i64 sequence = (i64)b * a.queries, per_query = ((i64)b * a.q_heads + h) * a.queries;
  stage_rows(queries, size, head_of(q, sequence, a.q_heads, h, size), q_pitch, first, OWN, a.queries,
             size);
  stage_rows(ds, size, head_of(d_out, sequence, a.q_heads, h, size), q_pitch, first, OWN, a.queries,
             size);
  float* mine = factors + warp_id() * MINE * OTHERS;
  float sums[MINE][CHUNKS], factor[MINE];
  clear(sums);
  for (int k0 = a.first_key(first); k0 < a.end_key(last); k0 += OTHERS) {
    __syncthreads();
    stage_rows(keys, size + 1, head_of(k, (i64)b * a.keys, a.kv_heads, kv, size), k_pitch, k0, OTHERS,
               a.keys, size);
    stage_rows(values, size + 1, head_of(v, (i64)b * a.keys, a.kv_heads, kv, size), k_pitch, k0,
               OTHERS, a.keys, size);
    __syncthreads();
    float score[MINE], dp[MINE];
    dot_rows(score, queries, keys, size + 1, size);
    dot_rows(dp, ds, values, size + 1, size);
    int key = k0 + lane_id();
    unsigned number = a.key_number(b, key);
#pragma unroll
    for (int r = 0; r < MINE; r++) {
      int query = first + warp_id() * MINE + r;
      float d = 0;
      if (query < a.queries && a.sees(query, key, number, a.query_number(b, query))) {
        float s = score[r] * a.scale;
        if (a.bias) {
          s += a.bias[((i64)h * a.queries + query) * a.keys + key];
        }
        d = expf(s - lse[per_query + query]) * (dp[r] - delta[per_query + query]);
      }
      mine[r * OTHERS + lane_id()] = d;
    }
    __syncwarp();
    add_rows(sums, mine, keys, size + 1, size);
  }
#pragma unroll
  for (int r = 0; r < MINE; r++) {
    factor[r] = a.scale;
  }
  write_rows(head_of(dq, sequence, a.q_heads, h, size), q_pitch, first, a.queries, size, sums, factor);
}

// dv = sum over queries of p dOut, dk = scale sum of p (dOut v - delta) q: over the query heads that
// read this key head one after the other. Shared: keys, values [16, D], queries, dOut [32, D + 1].
template <int CHUNKS, class T>
DEVICE void attend_backward_kv(T* dk, T* dv, const T* d_out, const T* q, const T* k, const T* v,
                               const float* lse, const float* delta, const Attention& a) {
  DYNAMIC_SHARED(memory);
  SHARED(float, factors, 2 * 4 * MINE * OTHERS);
  int b = blockIdx.z, kv = blockIdx.y, size = a.head_size, group = a.q_heads / a.kv_heads;
  int first = blockIdx.x * OWN, last = min(first + OWN, a.keys) - 1;
  float* keys = (float*)memory;
  float* values = keys + OWN * size;
  float* queries = values + OWN * size;
  float* ds = queries + OTHERS * (size + 1);
  i64 q_pitch = (i64)a.q_heads * size, k_pitch = (i64)a.kv_heads * size;
  i64 sequence = (i64)b * a.queries;
  stage_rows(keys, size, head_of(k, (i64)b * a.keys, a.kv_heads, kv, size), k_pitch, first, OWN,
             a.keys, size);
  stage_rows(values, size, head_of(v, (i64)b * a.keys, a.kv_heads, kv, size), k_pitch, first, OWN,
             a.keys, size);
  float* of_values = factors + warp_id() * MINE * OTHERS;
  float* of_keys = of_values + 4 * MINE * OTHERS;
  float key_sums[MINE][CHUNKS], value_sums[MINE][CHUNKS];
  clear(key_sums);
  clear(value_sums);
  for (int h = kv * group; h < (kv + 1) * group; h++) {
    i64 per_query = ((i64)b * a.q_heads + h) * a.queries;
    for (int q0 = a.first_query(first); q0 < a.end_query(last); q0 += OTHERS) {
      __syncthreads();
      stage_rows(queries, size + 1, head_of(q, sequence, a.q_heads, h, size), q_pitch, q0, OTHERS,
                 a.queries, size);
      stage_rows(ds, size + 1, head_of(d_out, sequence, a.q_heads, h, size), q_pitch, q0, OTHERS,
                 a.queries, size);
      __syncthreads();
      float score[MINE], dp[MINE];
      dot_rows(score, keys, queries, size + 1, size);
      dot_rows(dp, values, ds, size + 1, size);
      int query = q0 + lane_id();
      bool there = query < a.queries;
      unsigned number = a.query_number(b, query);
      float log_sum = there ? lse[per_query + query] : 0, along = there ? delta[per_query + query] : 0;
#pragma unroll
      for (int r = 0; r < MINE; r++) {
        int key = first + warp_id() * MINE + r;
        float p = 0, d = 0;
        if (there && a.sees(query, key, a.key_number(b, key), number)) {
          float s = score[r] * a.scale;
          if (a.bias) {
            s += a.bias[((i64)h * a.queries + query) * a.keys + key];
          }
          p = expf(s - log_sum);
          d = p * (dp[r] - along);
        }
        if (there && a.uniform && log_sum == BLIND) {
          p = 1 / (float)a.keys;
        }
        of_values[r * OTHERS + lane_id()] = p;
        of_keys[r * OTHERS + lane_id()] = d;
      }
      __syncwarp();
      add_rows(value_sums, of_values, ds, size + 1, size);
      add_rows(key_sums, of_keys, queries, size + 1, size);
    }
  }
  float one[MINE], scale[MINE];
#pragma unroll
  for (int r = 0; r < MINE; r++) {
    one[r] = 1;
    scale[r] = a.scale;
  }
  write_rows(head_of(dv, (i64)b * a.keys, a.kv_heads, kv, size), k_pitch, first, a.keys, size,
             value_sums, one);
  write_rows(head_of(dk, (i64)b * a.keys, a.kv_heads, kv, size), k_pitch, first, a.keys, size,
             key_sums, scale);
}

// dBias[h, query, key] = sum over the batch, in order, of p (dOut v - delta). One thread an element;
// grid (keys / 128, queries, q_heads).
template <class T>
DEVICE void attend_backward_bias(float* d_bias, const T* d_out, const T* q, const T* k, const T* v,
                                 const float* lse, const float* delta, const Attention& a) {
  int key = blockIdx.x * blockDim.x + threadIdx.x, query = blockIdx.y, h = blockIdx.z;
  int kv = h * a.kv_heads / a.q_heads, size = a.head_size;
  if (key >= a.keys) {
    return;
  }
  float sum = 0;
  for (int b = 0; b < a.batch; b++) {
    if (!a.sees(query, key, a.key_number(b, key), a.query_number(b, query))) {
      continue;
    }
    const T* q_row = head_of(q, (i64)b * a.queries + query, a.q_heads, h, size);
    const T* d_row = head_of(d_out, (i64)b * a.queries + query, a.q_heads, h, size);
    const T* k_row = head_of(k, (i64)b * a.keys + key, a.kv_heads, kv, size);
    const T* v_row = head_of(v, (i64)b * a.keys + key, a.kv_heads, kv, size);
    float s = 0, dp = 0;
    for (int d = 0; d < size; d++) {
      s += to_float(q_row[d]) * to_float(k_row[d]);
      dp += to_float(d_row[d]) * to_float(v_row[d]);
    }
    i64 at = ((i64)b * a.q_heads + h) * a.queries + query;
    s *= a.scale;
    if (a.bias) {
      s += a.bias[((i64)h * a.queries + query) * a.keys + key];
    }
    sum += expf(s - lse[at]) * (dp - delta[at]);
  }
  d_bias[((i64)h * a.queries + query) * a.keys + key] = sum;
}

// delta[b, h, query] = dOut . out of one head: one warp each.
template <class T>
DEVICE void attention_dots(float* delta, const T* d_out, const T* out, int batch, int queries,
                           int q_heads, int size) {
  i64 i = (i64)blockIdx.x * 4 + warp_id();
  if (i >= (i64)batch * queries * q_heads) {
    return;
  }
  i64 row, h, b, query;
  split(i, q_heads, row, h);
  split(row, queries, b, query);
  float sum = 0;
  for (int d = lane_id(); d < size; d += 32) {
    sum += to_float(d_out[i * size + d]) * to_float(out[i * size + d]);
  }
  sum = warp_sum(sum);
  if (lane_id() == 0) {
    delta[(b * q_heads + h) * queries + query] = sum;
  }
}

#define BY_SIZE(call, ...)                \
  Attention a = ATTENTION_GIVEN;          \
  if (headSize <= 64) {                   \
    call<2>(__VA_ARGS__, a);              \
  } else if (headSize <= 128) {           \
    call<4>(__VA_ARGS__, a);              \
  } else {                                \
    call<8>(__VA_ARGS__, a);              \
  }

#define ATTENTION_KERNELS(T, t)                                                                   \
  BOUND_KERNEL(128, 2, attention_##t, T* out, float* lse, const T* q, const T* k, const T* v,     \
               ATTENTION) {                                                                       \
    BY_SIZE(attend, out, lse, q, k, v)                                                            \
  }                                                                                               \
  BOUND_KERNEL(128, 2, attention_backward_q_##t, T* dq, const T* dOut, const T* q, const T* k,    \
               const T* v, const float* lse, const float* delta, ATTENTION) {                     \
    BY_SIZE(attend_backward_q, dq, dOut, q, k, v, lse, delta)                                     \
  }                                                                                               \
  BOUND_KERNEL(128, 2, attention_backward_kv_##t, T* dk, T* dv, const T* dOut, const T* q,        \
               const T* k, const T* v, const float* lse, const float* delta, ATTENTION) {         \
    BY_SIZE(attend_backward_kv, dk, dv, dOut, q, k, v, lse, delta)                                \
  }                                                                                               \
  KERNEL(attention_backward_bias_##t, float* dBias, const T* dOut, const T* q, const T* k,        \
         const T* v, const float* lse, const float* delta, ATTENTION) {                           \
    Attention a = ATTENTION_GIVEN;                                                                \
    attend_backward_bias(dBias, dOut, q, k, v, lse, delta, a);                                    \
  }                                                                                               \
  BOUND_KERNEL(128, 2, attention_dots_##t, float* delta, const T* dOut, const T* out, int batch,  \
               int queries, int qHeads, int headSize) {                                           \
    attention_dots(delta, dOut, out, batch, queries, qHeads, headSize);                           \
  }
ATTENTION_KERNELS(float, f32)
ATTENTION_KERNELS(bf16, bf16)
