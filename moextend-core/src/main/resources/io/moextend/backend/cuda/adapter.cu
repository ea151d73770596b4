// What adapters do beside products. R rows, H heads of K numbers (size) each, E experts.

// The mixture of vectors for one number: sum over e of p[row head, e] scaling[head, e, k].
template <class T>
DEVICE float mixture(const float* p, const T* scaling, int experts, i64 size) {
  float sum = 0;
  for (int e = 0; e < experts; e++) {
    sum += p[e] * to_float(scaling[e * size]);
  }
  return sum;
}

// out = x (sum over e of p[row head, e] scaling[head, e]); x [R, H K], p [R H, E], scaling [H, E, K].
// The gradient of x is the same of dOut. Grid: over elements.
template <class T>
DEVICE void rescale(T* out, const T* x, const float* p, const T* scaling, i64 rows, int heads,
                    int experts, i64 size) {
  i64 n = rows * heads * size, place, k, row, head;
  for (i64 i = grid_thread(); i < n; i += grid_threads()) {
    split(i, size, place, k);
    split(place, heads, row, head);
    out[i] = rounded<T>(to_float(x[i]) * mixture(p + place * experts,
                                                 scaling + head * experts * size + k, experts, size));
  }
}

// dP[row head, e] = sum over k of dOut x scaling[head, e, k]. One warp a row's head, 4 a block.
template <class T>
DEVICE void rescale_weights(float* d_p, const T* d_out, const T* x, const T* scaling, i64 rows,
                            int heads, int experts, i64 size) {
  i64 place = (i64)blockIdx.x * 4 + warp_id(), row, head;
  if (place >= rows * heads) {
    return;
  }
  split(place, heads, row, head);
  for (int e = 0; e < experts; e++) {
    const T* of = scaling + (head * experts + e) * size;
    float sum = 0;
    for (i64 k = lane_id(); k < size; k += 32) {
      sum += to_float(d_out[place * size + k]) * to_float(x[place * size + k]) * to_float(of[k]);
    }
    sum = warp_sum(sum);
    if (lane_id() == 0) {
      d_p[place * experts + e] = sum;
    }
  }
}

// partial[chunk, (h, e, k)] = sum over rowsPerBlock rows, in order, of dOut x p. One thread an (h, e,
// k), one row of blocks a chunk.
template <class T>
DEVICE void rescale_scaling(float* partial, const T* d_out, const T* x, const float* p, i64 rows,
                            int heads, int experts, i64 size, i64 rows_per_block) {
  i64 j = (i64)blockIdx.x * blockDim.x + threadIdx.x, m = (i64)heads * experts * size;
  if (j >= m) {
    return;
  }
  i64 group, k, head, e;
  split(j, size, group, k);
  split(group, experts, head, e);
  float sum = 0;
  i64 end = least(rows, (blockIdx.y + 1) * rows_per_block);
  for (i64 r = blockIdx.y * rows_per_block; r < end; r++) {
    i64 place = r * heads + head;
    sum += to_float(d_out[place * size + k]) * to_float(x[place * size + k]) * p[place * experts + e];
  }
  partial[blockIdx.y * m + j] = sum;
}

// out[i] = h[i] p[i / block]; the gradient of h is the same of dOut. Grid: over elements.
template <class T>
DEVICE void scale_blocks(T* out, const T* h, const float* p, i64 n, i64 block) {
  i64 group, at;
  for (i64 i = grid_thread(); i < n; i += grid_threads()) {
    split(i, block, group, at);
    out[i] = rounded<T>(to_float(h[i]) * p[group]);
  }
}

// dP[i] = dOut . h over block i of so many numbers. One warp a block of numbers, 4 a block.
template <class T>
DEVICE void scale_blocks_weights(float* d_p, const T* d_out, const T* h, i64 groups, i64 block) {
  i64 i = (i64)blockIdx.x * 4 + warp_id();
  if (i >= groups) {
    return;
  }
  float sum = 0;
  for (i64 k = lane_id(); k < block; k += 32) {
    sum += to_float(d_out[i * block + k]) * to_float(h[i * block + k]);
  }
  sum = warp_sum(sum);
  if (lane_id() == 0) {
    d_p[i] = sum;
  }
}

// y[r, from + c] += delta[r, c]; y [rows, pitch], delta [rows, width]. One block of 256 a row.
template <class T>
DEVICE void add_columns(T* y, i64 pitch, i64 from, const T* delta, i64 width) {
  y += blockIdx.x * pitch + from;
  delta += blockIdx.x * width;
  bool vector = width % 8 == 0 && aligned(y) && aligned(delta);
  i64 whole = vector ? width : 0;
  for (i64 c = threadIdx.x * 8; c < whole; c += blockDim.x * 8) {
    float a[8], b[8];
    load8(y + c, a);
    load8(delta + c, b);
#pragma unroll
    for (int i = 0; i < 8; i++) {
      a[i] += b[i];
    }
    store8(y + c, a);
  }
  for (i64 c = whole + threadIdx.x; c < width; c += blockDim.x) {
    y[c] = rounded<T>(to_float(y[c]) + to_float(delta[c]));
  }
}

#define ADAPTERS(T, t)                                                                           \
  KERNEL(rescale_##t, T* out, const T* x, const float* p, const T* scaling, i64 rows, int heads, \
         int experts, i64 size) {                                                                \
    rescale(out, x, p, scaling, rows, heads, experts, size);                                     \
  }                                                                                              \
  KERNEL(rescale_weights_##t, float* dP, const T* dOut, const T* x, const T* scaling, i64 rows,  \
         int heads, int experts, i64 size) {                                                     \
    rescale_weights(dP, dOut, x, scaling, rows, heads, experts, size);                           \
  }                                                                                              \
  KERNEL(rescale_scaling_##t, float* partial, const T* dOut, const T* x, const float* p,         \
         i64 rows, int heads, int experts, i64 size, i64 rowsPerBlock) {                         \
    rescale_scaling(partial, dOut, x, p, rows, heads, experts, size, rowsPerBlock);              \
  }                                                                                              \
  KERNEL(scale_blocks_##t, T* out, const T* h, const float* p, i64 n, i64 block) {               \
    scale_blocks(out, h, p, n, block);                                                           \
  }                                                                                              \
  KERNEL(scale_blocks_weights_##t, float* dP, const T* dOut, const T* h, i64 groups,             \
         i64 block) {                                                                            \
    scale_blocks_weights(dP, dOut, h, groups, block);                                            \
  }                                                                                              \
  KERNEL(add_columns_##t, T* y, i64 pitch, i64 from, const T* delta, i64 rows, i64 width) {      \
    add_columns(y, pitch, from, delta, width);                                                   \
  }
ADAPTERS(float, f32)
ADAPTERS(bf16, bf16)
