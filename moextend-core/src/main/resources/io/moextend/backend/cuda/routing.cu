// Choosing experts, sorting the choices and moving rows to experts and back. Nothing waits for the
// host, and every order follows from the choices alone.
// T tokens, E experts (width), k chosen per token.

// ---- softmax of rows: one warp a row, 4 a block

template <class T>
DEVICE void softmax(T* out, const T* logits, i64 rows, i64 width) {
  i64 r = (i64)blockIdx.x * (blockDim.x >> 5) + warp_id();
  if (r >= rows) {
    return;  // the whole warp
  }
  logits += r * width;
  out += r * width;
  float largest = -infinity();
  for (i64 e = lane_id(); e < width; e += 32) {
    largest = fmaxf(largest, to_float(logits[e]));
  }
  largest = warp_max(largest);
  float sum = 0;
  for (i64 e = lane_id(); e < width; e += 32) {
    sum += expf(to_float(logits[e]) - largest);
  }
  sum = warp_sum(sum);
  for (i64 e = lane_id(); e < width; e += 32) {
    out[e] = rounded<T>(expf(to_float(logits[e]) - largest) / sum);
  }
}

// dx = p (dp - sum of dp p)
template <class T>
DEVICE void softmax_backward(T* dx, const T* dp, const T* p, i64 rows, i64 width) {
  i64 r = (i64)blockIdx.x * (blockDim.x >> 5) + warp_id();
  if (r >= rows) {
    return;
  }
  p += r * width;
  dp += r * width;
  dx += r * width;
  float along = 0;
  for (i64 e = lane_id(); e < width; e += 32) {
    along += to_float(dp[e]) * to_float(p[e]);
  }
  along = warp_sum(along);
  for (i64 e = lane_id(); e < width; e += 32) {
    dx[e] = rounded<T>(to_float(p[e]) * (to_float(dp[e]) - along));
  }
}

// ---- the k largest of each row: one thread a row

// Looks k times for the first that comes after the last one found, in the order (score down, number
// up). NaN counts as minus infinity; -0 equals 0.
template <class T>
DEVICE void top_k(int* chosen, const T* scores, i64 rows, int width, int k) {
  i64 r = grid_thread();
  if (r >= rows) {
    return;
  }
  scores += r * width;
  float last = infinity();
  int last_at = -1;
  for (int j = 0; j < k; j++) {
    float best = 0;
    int at = -1;
    for (int e = 0; e < width; e++) {
      float s = to_float(scores[e]);
      s = s != s ? -infinity() : s;
      bool free = s < last || (s == last && e > last_at);
      if (free && (at < 0 || s > best)) {
        best = s;
        at = e;
      }
    }
    chosen[r * k + j] = at;
    last = best;
    last_at = at;
  }
}

#define CHOICE(T, t)                                                                       \
  KERNEL(softmax_##t, T* out, const T* logits, i64 rows, i64 width) {                      \
    softmax(out, logits, rows, width);                                                     \
  }                                                                                        \
  KERNEL(softmax_backward_##t, T* dx, const T* dp, const T* p, i64 rows, i64 width) {      \
    softmax_backward(dx, dp, p, rows, width);                                              \
  }                                                                                        \
  KERNEL(top_k_##t, int* chosen, const T* scores, i64 rows, int width, int k) {            \
    top_k(chosen, scores, rows, width, k);                                                 \
  }
CHOICE(float, f32)
CHOICE(bf16, bf16)

DEVICE float picked_sum(const float* scores, const int* chosen, int k) {
  float sum = 0;
  for (int j = 0; j < k; j++) {
    sum += scores[chosen[j]];
  }
  return sum;
}

// out[t, j] = scores[t, chosen[t, j]], divided by their sum where normalise. One thread a row.
KERNEL(pick_f32, float* out, const float* scores, const int* chosen, i64 rows, int width, int k,
       int normalise) {
  i64 r = grid_thread();
  if (r < rows) {
    float sum = normalise ? picked_sum(scores + r * width, chosen + r * k, k) : 1;
    for (int j = 0; j < k; j++) {
      out[r * k + j] = scores[r * width + chosen[r * k + j]] / sum;
    }
  }
}

// Normalised: d s_c = (d_c - sum of d w) / sum, with w the normalised weights. One thread a row.
KERNEL(pick_backward_f32, float* dScores, const float* dPicked, const float* scores,
       const int* chosen, i64 rows, int width, int k, int normalise) {
  i64 r = grid_thread();
  if (r >= rows) {
    return;
  }
  scores += r * width;
  dScores += r * width;
  chosen += r * k;
  dPicked += r * k;
  float sum = normalise ? picked_sum(scores, chosen, k) : 1, along = 0;
  for (int j = 0; normalise && j < k; j++) {
    along += dPicked[j] * (scores[chosen[j]] / sum);
  }
  for (int e = 0; e < width; e++) {
    dScores[e] = 0;
  }
  for (int j = 0; j < k; j++) {
    dScores[chosen[j]] += (dPicked[j] - along) / sum;
  }
}

// ---- sorting the choices by expert: counts of chunks of 256 choices, their starts, then places

// An expert's number, held within range; memory stays whole whatever the input.
DEVICE int expert_of(const int* chosen, i64 i, int experts, int* fault) {
  int e = chosen[i];
  if (e < 0 || e >= experts) {
    if (fault) {
      *fault = FAULT_EXPERT;
    }
    return e < 0 ? 0 : experts - 1;
  }
  return e;
}

// counts[chunk, e] = choices of e in the chunk. Shared: experts ints. Grid: one block a chunk.
KERNEL(dispatch_count, int* counts, const int* chosen, i64 n, int experts, int* fault) {
  DYNAMIC_SHARED(memory);
  int* own = (int*)memory;
  for (int e = threadIdx.x; e < experts; e += blockDim.x) {
    own[e] = 0;
  }
  __syncthreads();
  i64 i = (i64)blockIdx.x * 256 + threadIdx.x;
  if (i < n) {
    atomicAdd(&own[expert_of(chosen, i, experts, fault)], 1);  // whole numbers: any order
  }
  __syncthreads();
  for (int e = threadIdx.x; e < experts; e += blockDim.x) {
    counts[(i64)blockIdx.x * experts + e] = own[e];
  }
}

// One block: counts become the first place of each (chunk, expert), experts outermost; offsets [E
// + 1] are the experts' first places. A warp an expert at a time, its lanes over chunks.
KERNEL(dispatch_offsets, int* counts, int* offsets, i64 chunks, int experts) {
  for (int e = warp_id(); e < experts; e += blockDim.x >> 5) {  // offsets[e + 1] = rows of e
    int sum = 0;
    for (i64 c = lane_id(); c < chunks; c += 32) {
      sum += counts[c * experts + e];
    }
#pragma unroll
    for (int d = 16; d > 0; d >>= 1) {
      sum += __shfl_xor_sync(ALL_LANES, sum, d);
    }
    if (lane_id() == 0) {
      offsets[e + 1] = sum;
    }
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    offsets[0] = 0;
    for (int e = 0; e < experts; e++) {
      offsets[e + 1] += offsets[e];
    }
  }
  __syncthreads();
  for (int e = warp_id(); e < experts; e += blockDim.x >> 5) {
    int start = offsets[e];
    for (i64 first = 0; first < chunks; first += 32) {
      i64 c = first + lane_id();
      int own = c < chunks ? counts[c * experts + e] : 0;
      int until = own;  // up to and with this lane
#pragma unroll
      for (int d = 1; d < 32; d <<= 1) {
        int before = __shfl_sync(ALL_LANES, until, lane_id() >= d ? lane_id() - d : lane_id());
        until += lane_id() >= d ? before : 0;
      }
      if (c < chunks) {
        counts[c * experts + e] = start + until - own;
      }
      start += __shfl_sync(ALL_LANES, until, 31);
    }
  }
}

// slot[i] = the place of choice i; source[slot] = its token. Choices of an expert stay in their
// order. Grid: one block of 256 a chunk.
BOUND_KERNEL(256, 1, dispatch_place, int* source, int* slot, const int* starts, const int* chosen,
             i64 n, int experts, int k) {
  SHARED(int, own, 256);
  i64 i = (i64)blockIdx.x * 256 + threadIdx.x;
  own[threadIdx.x] = i < n ? expert_of(chosen, i, experts, (int*)0) : -1;
  __syncthreads();
  if (i < n) {
    int e = own[threadIdx.x], before = 0;
    for (int j = 0; j < (int)threadIdx.x; j++) {
      before += own[j] == e ? 1 : 0;
    }
    int place = starts[(i64)blockIdx.x * experts + e] + before;
    slot[i] = place;
    source[place] = (int)(i / k);
  }
}

// ---- rows back to tokens: one block a token

// out[t] = sum over j of weights[t, j] rows[slot[t, j]], in order of j; weights null: all 1
template <class T>
DEVICE void unpermute(T* out, const T* rows, const int* slot, const float* weights, int k,
                      i64 width) {
  i64 t = blockIdx.x;
  out += t * width;
  bool vector = width % 8 == 0 && aligned(out) && aligned(rows);
  i64 step = vector ? 8 : 1;
  for (i64 c = threadIdx.x * step; c < width; c += blockDim.x * step) {
    float sum[8] = {0, 0, 0, 0, 0, 0, 0, 0};
    for (int j = 0; j < k; j++) {
      const T* from = rows + slot[t * k + j] * width + c;
      float w = weights ? weights[t * k + j] : 1;
      if (vector) {
        float v[8];
        load8(from, v);
#pragma unroll
        for (int i = 0; i < 8; i++) {
          sum[i] += w * v[i];
        }
      } else {
        sum[0] += w * to_float(from[0]);
      }
    }
    if (vector) {
      store8(out + c, sum);
    } else {
      out[c] = rounded<T>(sum[0]);
    }
  }
}

// dRows[slot[t, j]] = weights[t, j] dOut[t]; dWeights[t, j] = dOut[t] . rows[slot[t, j]]
template <class T>
DEVICE void combine_backward(T* d_rows, float* d_weights, const T* d_out, const T* rows,
                             const float* weights, const int* slot, int k, i64 width) {
  i64 t = blockIdx.x;
  d_out += t * width;
  bool vector = width % 8 == 0 && aligned(d_out) && aligned(rows) && aligned(d_rows);
  for (int j = 0; j < k; j++) {
    const T* row = rows + slot[t * k + j] * width;
    T* d_row = d_rows + slot[t * k + j] * width;
    float w = weights[t * k + j], dot = 0;
    if (vector) {
      for (i64 c = threadIdx.x * 8; c < width; c += blockDim.x * 8) {
        float d[8], v[8];
        load8(d_out + c, d);
        load8(row + c, v);
#pragma unroll
        for (int i = 0; i < 8; i++) {
          dot += d[i] * v[i];
          d[i] *= w;
        }
        store8(d_row + c, d);
      }
    } else {
      for (i64 c = threadIdx.x; c < width; c += blockDim.x) {
        float d = to_float(d_out[c]);
        dot += d * to_float(row[c]);
        d_row[c] = rounded<T>(w * d);
      }
    }
    dot = block_sum(dot);
    if (threadIdx.x == 0) {
      d_weights[t * k + j] = dot;
    }
  }
}

#define BACK_TO_TOKENS(T, t)                                                                    \
  KERNEL(unpermute_##t, T* out, const T* rows, const int* slot, const float* weights,           \
         i64 tokens, int k, i64 width) {                                                        \
    unpermute(out, rows, slot, weights, k, width);                                              \
  }                                                                                             \
  KERNEL(combine_backward_##t, T* dRows, float* dWeights, const T* dOut, const T* rows,         \
         const float* weights, const int* slot, i64 tokens, int k, i64 width) {                 \
    combine_backward(dRows, dWeights, dOut, rows, weights, slot, k, width);                     \
  }
BACK_TO_TOKENS(float, f32)
BACK_TO_TOKENS(bf16, bf16)
