// Losses. Logits [rows, classes] are read once in the forward pass (a running maximum and sum) and
// once in the backward pass; probabilities are never whole.

// Of a running maximum m and sum s of e^(x - m), and another such pair.
DEVICE void join(float& m, float& s, float other_m, float other_s) {
  float top = fmaxf(m, other_m);
  if (top > -infinity()) {  // else both are empty: s stays 0
    s = s * expf(m - top) + other_s * expf(other_m - top);
  }
  m = top;
}

// Log of the sum of e^logit over a row, for thread 0; where SUMMED also the sum of logits, for all.
template <bool SUMMED, class T>
DEVICE float log_sum(const T* logits, i64 classes, float& total) {
  SHARED(float, tops, 32);
  SHARED(float, sums, 32);
  float m = -infinity(), s = 0, all = 0;
  i64 whole = aligned(logits) ? classes / 8 * 8 : 0;
  for (i64 c = threadIdx.x * 8; c < whole; c += blockDim.x * 8) {
    float v[8];
    load8(logits + c, v);
    float top = v[0];
#pragma unroll
    for (int i = 1; i < 8; i++) {
      top = fmaxf(top, v[i]);
    }
    if (top > m) {
      s *= expf(m - top);
      m = top;
    }
#pragma unroll
    for (int i = 0; i < 8; i++) {
      s += m > -infinity() ? expf(v[i] - m) : 0;
      all += SUMMED ? v[i] : 0;
    }
  }
  for (i64 c = whole + threadIdx.x; c < classes; c += blockDim.x) {
    float v = to_float(logits[c]);
    join(m, s, v, 1);
    all += v;
  }
#pragma unroll
  for (int d = 16; d > 0; d >>= 1) {
    float other_m = __shfl_xor_sync(ALL_LANES, m, d);
    float other_s = __shfl_xor_sync(ALL_LANES, s, d);
    join(m, s, other_m, other_s);
  }
  if (lane_id() == 0) {
    tops[warp_id()] = m;
    sums[warp_id()] = s;
  }
  __syncthreads();
  for (int w = 1; threadIdx.x == 0 && w < (int)(blockDim.x >> 5); w++) {
    join(m, s, tops[w], sums[w]);
  }
  total = SUMMED ? block_sum(all) : 0;
  return m + logf(s);
}

// Whether a row's target counts.
DEVICE bool known_target(int target, i64 classes, int* fault) {
  if (target >= classes) {
    *fault = FAULT_TARGET;
  }
  return target >= 0 && target < classes;
}

// perRow[r] = weight (lse - logit[target] + z lse^2), 0 where the target is negative; lse always.
// One block of 256 threads a row.
template <class T>
DEVICE void cross_entropy(float* per_row, float* log_sum_exp, const T* logits, const int* targets,
                          const float* weights, float z, i64 classes, int* fault) {
  i64 r = blockIdx.x;
  logits += r * classes;
  float total, lse = log_sum<false>(logits, classes, total);
  if (threadIdx.x == 0) {
    int target = targets[r];
    bool counts = known_target(target, classes, fault);
    float weight = weights ? weights[r] : 1;
    log_sum_exp[r] = lse;
    per_row[r] = counts ? weight * (lse - to_float(logits[target]) + z * lse * lse) : 0;
  }
}

// As T5X has it: against a target of probability `confidence` and `rest` for each other class, less
// what a perfect answer loses; not weighted.
template <class T>
DEVICE void smoothed_cross_entropy(float* per_row, float* log_sum_exp, const T* logits,
                                   const int* targets, float confidence, float rest, float floor,
                                   i64 classes, int* fault) {
  i64 r = blockIdx.x;
  logits += r * classes;
  float total, lse = log_sum<true>(logits, classes, total);
  if (threadIdx.x == 0) {
    int target = targets[r];
    bool counts = known_target(target, classes, fault);
    float own = counts ? to_float(logits[target]) : 0;
    float others = (float)(classes - 1) * lse - (total - own);
    log_sum_exp[r] = lse;
    per_row[r] = counts ? confidence * (lse - own) + rest * others - floor : 0;
  }
}

// d = dLoss scale weight (softmax (1 + 2 z lse) - wanted), 0 where the target is negative; wanted is
// `confidence` at the target and `rest` elsewhere. One block a row.
template <class T>
DEVICE void cross_entropy_backward(T* d, const T* logits, const int* targets,
                                   const float* log_sum_exp, const float* weights,
                                   const float* d_loss, float scale, float z, float confidence,
                                   float rest, i64 classes) {
  i64 r = blockIdx.x;
  logits += r * classes;
  d += r * classes;
  int target = targets[r];
  bool counts = target >= 0 && target < classes;
  float lse = log_sum_exp[r];
  float by = counts ? d_loss[0] * scale * (weights ? weights[r] : 1) : 0;
  float spread = 1 + 2 * z * lse;
  i64 whole = aligned(logits) && aligned(d) ? classes / 8 * 8 : 0;
  for (i64 c = threadIdx.x * 8; c < whole; c += blockDim.x * 8) {
    float v[8];
    if (counts) {
      load8(logits + c, v);
    }
#pragma unroll
    for (int i = 0; i < 8; i++) {
      v[i] = counts ? by * (expf(v[i] - lse) * spread - (c + i == target ? confidence : rest)) : 0;
    }
    store8(d + c, v);
  }
  for (i64 c = whole + threadIdx.x; c < classes; c += blockDim.x) {
    float wanted = c == target ? confidence : rest;
    float p = counts ? expf(to_float(logits[c]) - lse) * spread - wanted : 0;
    d[c] = rounded<T>(by * p);
  }
}

#define CROSS_ENTROPY(T, t)                                                                       \
  KERNEL(cross_entropy_##t, float* perRow, float* logSumExp, const T* logits,                     \
         const int* targets, const float* weights, float z, i64 rows, i64 classes, int* fault) {  \
    cross_entropy(perRow, logSumExp, logits, targets, weights, z, classes, fault);                \
  }                                                                                               \
  KERNEL(cross_entropy_backward_##t, T* d, const T* logits, const int* targets,                   \
         const float* logSumExp, const float* weights, const float* dLoss, float scale, float z,  \
         i64 rows, i64 classes) {                                                                 \
    cross_entropy_backward(d, logits, targets, logSumExp, weights, dLoss, scale, z, 1, 0,         \
                           classes);                                                              \
  }                                                                                               \
  KERNEL(smoothed_cross_entropy_##t, float* perRow, float* logSumExp, const T* logits,            \
         const int* targets, float confidence, float rest, float floor, i64 rows, i64 classes,    \
         int* fault) {                                                                            \
    smoothed_cross_entropy(perRow, logSumExp, logits, targets, confidence, rest, floor, classes,  \
                           fault);                                                                \
  }                                                                                               \
  KERNEL(smoothed_cross_entropy_backward_##t, T* d, const T* logits, const int* targets,          \
         const float* logSumExp, const float* weights, const float* dLoss, float scale, float z,  \
         float confidence, float rest, i64 rows, i64 classes) {                                   \
    cross_entropy_backward(d, logits, targets, logSumExp, weights, dLoss, scale, z, confidence,   \
                           rest, classes);                                                        \
  }
CROSS_ENTROPY(float, f32)
CROSS_ENTROPY(bf16, bf16)

// One block: zLoss[0] = z sum of weight lse^2 / denominator, loss[0] = sum of weight perRow /
// denominator + zLoss[0], over rows whose target is not negative; added up in double.
KERNEL(weighted_sums, float* loss, float* zLoss, const float* perRow, const float* logSumExp,
       const float* weights, const int* targets, i64 n, double z, double denominator) {
  double sum = 0, squares = 0;
  for (i64 i = threadIdx.x; i < n; i += blockDim.x) {
    if (targets[i] >= 0) {
      sum += (double)weights[i] * perRow[i];
      squares += (double)weights[i] * logSumExp[i] * logSumExp[i];
    }
  }
  sum = block_sum(sum) / denominator;
  squares = block_sum(squares) * (z / denominator);
  if (threadIdx.x == 0) {
    loss[0] = (float)(sum + squares);
    zLoss[0] = (float)squares;
  }
}

// ---- load balance: shares of choices and mean probabilities over the tokens that count

// One block: out[0] = 1 / (tokens that count), 1 where none does; mask null: all count.
KERNEL(mask_weight, float* out, const unsigned char* mask, i64 n) {
  float count = 0;  // exact up to 2^24 a thread
  for (i64 i = threadIdx.x; i < n; i += blockDim.x) {
    count += mask == 0 || mask[i] != 0 ? 1 : 0;
  }
  double all = block_sum((double)count);
  if (threadIdx.x == 0) {
    out[0] = (float)(1 / (all < 1 ? 1 : all));
  }
}

// Block e: the share of expert e and its mean probability. Grid: experts blocks of 256.
KERNEL(balance_shares, float* shares, float* allShares, float* allMeans, const float* p,
       const int* chosen, const unsigned char* mask, const float* maskWeight, i64 tokens,
       int experts, int k) {
  int e = blockIdx.x;
  float share = 0, mean = 0;
  for (i64 t = threadIdx.x; t < tokens; t += blockDim.x) {
    if (mask == 0 || mask[t] != 0) {
      mean += p[t * experts + e];
      for (int j = 0; j < k; j++) {
        share += chosen[t * k + j] == e ? 1 : 0;
      }
    }
  }
  share = block_sum(share);
  mean = block_sum(mean);
  if (threadIdx.x == 0) {
    shares[e] = allShares[e] = share * maskWeight[0];
    allMeans[e] = mean * maskWeight[0];
  }
}

// One block. Per layer: factor / L sum_l sum_e s m; pooled: factor sum_e mean_l(s) mean_l(m). Rows of
// `stride`, zeros behind a layer's experts.
KERNEL(balance_loss, float* loss, const float* allShares, const float* allMeans, int layers,
       int stride, int pooled, float factor) {
  float sum = 0;
  for (int e = threadIdx.x; e < stride; e += blockDim.x) {
    float share = 0, mean = 0;
    for (int l = 0; l < layers; l++) {
      float s = allShares[(i64)l * stride + e], m = allMeans[(i64)l * stride + e];
      if (pooled) {
        share += s;
        mean += m;
      } else {
        sum += s * m;
      }
    }
    sum += share / (float)layers * mean;  // a layer's share of `factor / layers` is below
  }
  sum = block_sum(sum);
  if (threadIdx.x == 0) {
    loss[0] = factor / (float)layers * sum;
  }
}

// dp = dLoss scale shares[e] / (tokens that count), 0 for those that do not. Grid: over elements.
KERNEL(balance_backward, float* dp, const float* dLoss, const float* shares, float scale,
       const unsigned char* mask, const float* maskWeight, i64 tokens, int experts) {
  float by = dLoss[0] * scale * maskWeight[0];
  for (i64 i = grid_thread(); i < tokens * experts; i += grid_threads()) {
    i64 t, e;
    split(i, experts, t, e);
    dp[i] = mask == 0 || mask[t] != 0 ? by * shares[e] : 0;
  }
}
