// Kernels that write in place: gradients' sums, fills, the optimizer. Grids as in element.cu.

// into += s from
#define ACCUMULATE(T, t, U, u)                                                       \
  KERNEL(accumulate_##t##_##u, T* into, const U* from, float s, i64 n) {             \
    map2(n, into, from, into, [=](float x, float y) { return x + s * y; });          \
  }
ACCUMULATE(float, f32, float, f32)
ACCUMULATE(float, f32, bf16, bf16)
ACCUMULATE(bf16, bf16, float, f32)
ACCUMULATE(bf16, bf16, bf16, bf16)

template <class T>
DEVICE void fill(T* into, float value, i64 n) {
  i64 groups = aligned(into) ? n / 8 : 0;
  float v[8];
#pragma unroll
  for (int i = 0; i < 8; i++) {
    v[i] = value;
  }
  for (i64 g = grid_thread(); g < groups; g += grid_threads()) {
    store8(into + g * 8, v);
  }
  for (i64 i = groups * 8 + grid_thread(); i < n; i += grid_threads()) {
    into[i] = rounded<T>(value);
  }
}
KERNEL(fill_f32, float* into, float value, i64 n) { fill(into, value, n); }
KERNEL(fill_bf16, bf16* into, float value, i64 n) { fill(into, value, n); }
KERNEL(fill_f16, f16* into, float value, i64 n) { fill(into, value, n); }

// ---- sums in double. Blocks of 256 threads; which block adds what depends on n alone.

// partial[block] = sum of squares of x[block * perBlock ...]
template <class T>
DEVICE void squares(double* partial, const T* x, i64 n, i64 per_block) {
  i64 begin = blockIdx.x * per_block, end = least(n, begin + per_block);
  double sum = 0;
  i64 i = begin;
  if (aligned(x + begin)) {  // blocks' beginnings are multiples of 8 elements apart, or all go slow
    for (; i + 8 * blockDim.x <= end; i += 8 * blockDim.x) {
      float v[8];
      load8(x + i + threadIdx.x * 8, v);
#pragma unroll
      for (int j = 0; j < 8; j++) {
        sum += (double)v[j] * v[j];
      }
    }
  }
  for (i += threadIdx.x; i < end; i += blockDim.x) {
    double v = to_float(x[i]);
    sum += v * v;
  }
  sum = block_sum(sum);
  if (threadIdx.x == 0) {
    partial[blockIdx.x] = sum;
  }
}
KERNEL(squares_f32, double* partial, const float* x, i64 n, i64 perBlock) {
  squares(partial, x, n, perBlock);
}
KERNEL(squares_bf16, double* partial, const bf16* x, i64 n, i64 perBlock) {
  squares(partial, x, n, perBlock);
}

// One block: out[0] = sum of partial [n]
KERNEL(sum_double, double* out, const double* partial, i64 n) {
  double sum = 0;
  for (i64 i = threadIdx.x; i < n; i += blockDim.x) {
    sum += partial[i];
  }
  sum = block_sum(sum);
  if (threadIdx.x == 0) {
    out[0] = sum;
  }
}

// One block: out[0] = scale * sum of x [n], added up in double
KERNEL(sum_scaled, float* out, const float* x, i64 n, double scale) {
  double sum = 0;
  for (i64 i = threadIdx.x; i < n; i += blockDim.x) {
    sum += x[i];
  }
  sum = block_sum(sum);
  if (threadIdx.x == 0) {
    out[0] = (float)(scale * sum);
  }
}

// ---- AdamW with decoupled decay; all wide. weights, where not null, get the new master rounded.

struct AdamStep {
  float keep, beta1, one_minus_beta1, beta2, one_minus_beta2, eps, step_size, root_scale,
      gradient_scale;
  DEVICE_MEMBER_OF void one(float& w, float& m, float& v, float g) const {
    g *= gradient_scale;
    w *= keep;
    m = beta1 * m + one_minus_beta1 * g;
    v = beta2 * v + one_minus_beta2 * g * g;
    w -= step_size * m / (sqrtf(v) * root_scale + eps);
  }
};

template <bool WEIGHTS, class T>
DEVICE void adam(T* weights, float* w, float* m, float* v, const float* g, i64 n, AdamStep step) {
  bool vector = aligned(w) && aligned(m) && aligned(v) && aligned(g) &&
                (!WEIGHTS || aligned(weights));
  i64 groups = vector ? n / 8 : 0;
  for (i64 group = grid_thread(); group < groups; group += grid_threads()) {
    float a[8], b[8], c[8], d[8];
    load8(w + group * 8, a);
    load8(m + group * 8, b);
    load8(v + group * 8, c);
    load8(g + group * 8, d);
#pragma unroll
    for (int i = 0; i < 8; i++) {
      step.one(a[i], b[i], c[i], d[i]);
    }
    store8(w + group * 8, a);
    store8(m + group * 8, b);
    store8(v + group * 8, c);
    if (WEIGHTS) {
      store8(weights + group * 8, a);
    }
  }
  for (i64 i = groups * 8 + grid_thread(); i < n; i += grid_threads()) {
    float a = w[i], b = m[i], c = v[i];
    step.one(a, b, c, g[i]);
    w[i] = a;
    m[i] = b;
    v[i] = c;
    if (WEIGHTS) {
      weights[i] = rounded<T>(a);
    }
  }
}

KERNEL(adam_f32, float* w, float* m, float* v, const float* g, i64 n, float keep, float beta1,
       float oneMinusBeta1, float beta2, float oneMinusBeta2, float eps, float stepSize,
       float rootScale, float gradientScale) {
  AdamStep step = {keep, beta1, oneMinusBeta1, beta2, oneMinusBeta2, eps, stepSize, rootScale,
                   gradientScale};
  adam<false>((float*)0, w, m, v, g, n, step);
}

#define ADAM_WEIGHTS(T, t)                                                                        \
  KERNEL(adam_weights_##t, T* weights, float* w, float* m, float* v, const float* g, i64 n,       \
         float keep, float beta1, float oneMinusBeta1, float beta2, float oneMinusBeta2,          \
         float eps, float stepSize, float rootScale, float gradientScale) {                       \
    AdamStep step = {keep, beta1, oneMinusBeta1, beta2, oneMinusBeta2, eps, stepSize, rootScale,  \
                     gradientScale};                                                              \
    adam<true>(weights, w, m, v, g, n, step);                                                     \
  }
ADAM_WEIGHTS(float, f32)
ADAM_WEIGHTS(bf16, bf16)
ADAM_WEIGHTS(f16, f16)
