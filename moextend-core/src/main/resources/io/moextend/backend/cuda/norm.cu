// Normalisations over rows of x [rows, width]. One block of 256 threads a row; sums, inverses and
// means in float. A row is read again for its second pass: by then it is in the nearest cache.

// Calls each(v, column) for every element of a row, as floats; eight at once where aligned.
template <class T, class F>
DEVICE void for_row(const T* x, i64 width, bool vector, F each) {
  if (vector) {
    for (i64 c = threadIdx.x * 8; c < width; c += blockDim.x * 8) {
      float v[8];
      load8(x + c, v);
#pragma unroll
      for (int i = 0; i < 8; i++) {
        each(v[i], c + i);
      }
    }
  } else {
    for (i64 c = threadIdx.x; c < width; c += blockDim.x) {
      each(to_float(x[c]), c);
    }
  }
}

// Of two rows side by side.
template <class T, class F>
DEVICE void for_rows(const T* a, const T* b, const T* w, i64 width, bool vector, F each) {
  if (vector) {
    for (i64 c = threadIdx.x * 8; c < width; c += blockDim.x * 8) {
      float u[8], v[8], s[8];
      load8(a + c, u);
      load8(b + c, v);
      load8(w + c, s);
#pragma unroll
      for (int i = 0; i < 8; i++) {
        each(u[i], v[i], s[i]);
      }
    }
  } else {
    for (i64 c = threadIdx.x; c < width; c += blockDim.x) {
      each(to_float(a[c]), to_float(b[c]), to_float(w[c]));
    }
  }
}

// out[c] = f(a[c], b[c], w[c]) for a row
template <class T, class F>
DEVICE void write_row(T* out, const T* a, const T* b, const T* w, i64 width, bool vector, F f) {
  if (vector) {
    for (i64 c = threadIdx.x * 8; c < width; c += blockDim.x * 8) {
      float u[8], v[8], s[8];
      load8(a + c, u);
      load8(b + c, v);
      load8(w + c, s);
#pragma unroll
      for (int i = 0; i < 8; i++) {
        u[i] = f(u[i], v[i], s[i]);
      }
      store8(out + c, u);
    }
  } else {
    for (i64 c = threadIdx.x; c < width; c += blockDim.x) {
      out[c] = rounded<T>(f(to_float(a[c]), to_float(b[c]), to_float(w[c])));
    }
  }
}

// out = x s w with s = 1 / sqrt(mean(x^2) + eps)
template <class T>
DEVICE void rms_norm(T* out, float* inverse, const T* x, const T* w, i64 width, float eps) {
  i64 r = blockIdx.x;
  x += r * width;
  out += r * width;
  bool vector = width % 8 == 0 && aligned(x) && aligned(w) && aligned(out);
  float squares = 0;
  for_row(x, width, vector, [&](float v, i64) { squares += v * v; });
  float s = 1 / sqrtf(block_sum(squares) / (float)width + eps);
  if (threadIdx.x == 0) {
    inverse[r] = s;
  }
  write_row(out, x, x, w, width, vector, [=](float v, float, float weight) { return v * s * weight; });
}

// dx = s w d - s^3 x mean(d w x)
template <class T>
DEVICE void rms_norm_backward(T* dx, const T* dout, const T* x, const T* w, const float* inverse,
                              i64 width) {
  i64 r = blockIdx.x;
  x += r * width;
  dx += r * width;
  dout += r * width;
  bool vector = width % 8 == 0 && aligned(x) && aligned(w) && aligned(dx) && aligned(dout);
  float along = 0;
  for_rows(dout, x, w, width, vector, [&](float d, float v, float s) { along += d * s * v; });
  float s = inverse[r];
  float back = s * s * s * (block_sum(along) / (float)width);
  write_row(dx, dout, x, w, width, vector,
            [=](float d, float v, float weight) { return s * weight * d - v * back; });
}

// out = (x - mean) s w + b with s = 1 / sqrt(var + eps); the mean first, then the variance
template <class T>
DEVICE void layer_norm(T* out, float* inverse, float* mean, const T* x, const T* w, const T* b,
                       i64 width, float eps) {
  i64 r = blockIdx.x;
  x += r * width;
  out += r * width;
  bool vector = width % 8 == 0 && aligned(x) && aligned(w) && aligned(b) && aligned(out);
  float sum = 0;
  for_row(x, width, vector, [&](float v, i64) { sum += v; });
  float m = block_sum(sum) / (float)width;
  float squares = 0;
  for_row(x, width, vector, [&](float v, i64) { squares += (v - m) * (v - m); });
  float s = 1 / sqrtf(block_sum(squares) / (float)width + eps);
  if (threadIdx.x == 0) {
    inverse[r] = s;
    mean[r] = m;
  }
  write_row(out, x, w, b, width, vector,
            [=](float v, float weight, float bias) { return (v - m) * s * weight + bias; });
}

// With u the normed row and g = d w: dx = s (g - mean(g) - u mean(g u))
template <class T>
DEVICE void layer_norm_backward(T* dx, const T* dout, const T* x, const T* w, const float* inverse,
                                const float* mean, i64 width) {
  i64 r = blockIdx.x;
  x += r * width;
  dx += r * width;
  dout += r * width;
  bool vector = width % 8 == 0 && aligned(x) && aligned(w) && aligned(dx) && aligned(dout);
  float s = inverse[r], m = mean[r], sum = 0, along = 0;
  for_rows(dout, x, w, width, vector, [&](float d, float v, float weight) {
    sum += d * weight;
    along += d * weight * ((v - m) * s);
  });
  sum = block_sum(sum) / (float)width;
  along = block_sum(along) / (float)width;
  write_row(dx, dout, x, w, width, vector, [=](float d, float v, float weight) {
    return s * (d * weight - sum - (v - m) * s * along);
  });
}

// partial[chunk, column] = sum of d times the normed value over the chunk's rows, in order. Grid:
// one thread a column, one row of blocks for every rowsPerBlock rows.
template <bool CENTRED, class T>
DEVICE void norm_weight(float* partial, const T* dout, const T* x, const float* inverse,
                        const float* mean, i64 rows, i64 width, i64 rows_per_block) {
  i64 column = (i64)blockIdx.x * blockDim.x + threadIdx.x;
  if (column >= width) {
    return;
  }
  i64 r = blockIdx.y * rows_per_block, end = least(rows, r + rows_per_block);
  float sum[4] = {0, 0, 0, 0};
  for (; r + 4 <= end; r += 4) {
#pragma unroll
    for (int i = 0; i < 4; i++) {
      i64 at = (r + i) * width + column;
      float v = to_float(x[at]) - (CENTRED ? mean[r + i] : 0);
      sum[i] += to_float(dout[at]) * (v * inverse[r + i]);
    }
  }
  for (; r < end; r++) {
    i64 at = r * width + column;
    float v = to_float(x[at]) - (CENTRED ? mean[r] : 0);
    sum[0] += to_float(dout[at]) * (v * inverse[r]);
  }
  partial[blockIdx.y * width + column] = (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

#define NORMS(T, t)                                                                               \
  KERNEL(rms_norm_##t, T* out, float* inverse, const T* x, const T* w, i64 rows, i64 width,       \
         float eps) {                                                                             \
    rms_norm(out, inverse, x, w, width, eps);                                                     \
  }                                                                                               \
  KERNEL(rms_norm_backward_##t, T* dx, const T* dout, const T* x, const T* w,                     \
         const float* inverse, i64 rows, i64 width) {                                             \
    rms_norm_backward(dx, dout, x, w, inverse, width);                                            \
  }                                                                                               \
  KERNEL(rms_norm_weight_##t, float* partial, const T* dout, const T* x, const float* inverse,    \
         i64 rows, i64 width, i64 rowsPerBlock) {                                                 \
    norm_weight<false>(partial, dout, x, inverse, (const float*)0, rows, width, rowsPerBlock);    \
  }                                                                                               \
  KERNEL(layer_norm_##t, T* out, float* inverse, float* mean, const T* x, const T* w, const T* b, \
         i64 rows, i64 width, float eps) {                                                        \
    layer_norm(out, inverse, mean, x, w, b, width, eps);                                          \
  }                                                                                               \
  KERNEL(layer_norm_backward_##t, T* dx, const T* dout, const T* x, const T* w,                   \
         const float* inverse, const float* mean, i64 rows, i64 width) {                          \
    layer_norm_backward(dx, dout, x, w, inverse, mean, width);                                    \
  }                                                                                               \
  KERNEL(layer_norm_weight_##t, float* partial, const T* dout, const T* x, const float* inverse,  \
         const float* mean, i64 rows, i64 width, i64 rowsPerBlock) {                              \
    norm_weight<true>(partial, dout, x, inverse, mean, rows, width, rowsPerBlock);                \
  }
NORMS(float, f32)
NORMS(bf16, bf16)
