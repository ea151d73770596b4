// Pointwise kernels and sums over rows. Grids: 256 threads, any number of blocks (loops over the
// grid); sums of columns: one thread a column, one row of blocks for every rowsPerBlock rows.
// Eight elements at once where pointers allow it, else one by one.

#define EACH_TYPE(with) with(float, f32) with(bf16, bf16)
#define EACH_PAIR(with)                                                              \
  with(float, f32, float, f32) with(float, f32, bf16, bf16) with(bf16, bf16, float, f32) \
      with(bf16, bf16, bf16, bf16)

// ---- sums and products

// out = a + b, [n] each
#define ADD(T, t)                                             \
  KERNEL(add_##t, T* out, const T* a, const T* b, i64 n) {    \
    map2(n, a, b, out, [](float x, float y) { return x + y; }); \
  }
EACH_TYPE(ADD)

// out = a + s b
#define ADD_SCALED(T, t, U, u)                                                \
  KERNEL(add_scaled_##t##_##u, T* out, const T* a, const U* b, float s, i64 n) { \
    map2(n, a, b, out, [=](float x, float y) { return x + s * y; });          \
  }
EACH_PAIR(ADD_SCALED)

// out = a b
#define MULTIPLY(T, t, U, u)                                          \
  KERNEL(multiply_##t##_##u, T* out, const T* a, const U* b, i64 n) { \
    map2(n, a, b, out, [](float x, float y) { return x * y; });       \
  }
EACH_PAIR(MULTIPLY)

// out = s a
#define SCALE(T, t)                                           \
  KERNEL(scale_##t, T* out, const T* a, float s, i64 n) {     \
    map1(n, a, out, [=](float x) { return s * x; });          \
  }
EACH_TYPE(SCALE)

// out[i] = f(x[i], row[i % period]); out may be x.
template <class T, class U, class F>
DEVICE void with_period(T* out, const T* x, const U* row, i64 n, i64 period, F f) {
  bool vector = aligned(out) && aligned(x) && aligned(row) && period % 8 == 0;
  i64 whole = vector ? n : 0, group, column;
  for (i64 i = grid_thread() * 8; i < whole; i += grid_threads() * 8) {
    split(i, period, group, column);
    float a[8], b[8];
    load8(x + i, a);
    load8(row + column, b);
#pragma unroll
    for (int j = 0; j < 8; j++) {
      a[j] = f(a[j], b[j]);
    }
    store8(out + i, a);
  }
  for (i64 i = whole + grid_thread(); i < n; i += grid_threads()) {
    split(i, period, group, column);
    out[i] = rounded<T>(f(to_float(x[i]), to_float(row[column])));
  }
}

// x [groups, period], rows [period]; n = groups * period
#define ADD_REPEATED(T, t, U, u)                                                                \
  KERNEL(add_repeated_##t##_##u, T* out, const T* x, const U* rows, i64 n, i64 period) {        \
    with_period(out, x, rows, n, period, [](float a, float b) { return a + b; });               \
  }
EACH_PAIR(ADD_REPEATED)

// x [rows, width], scale [width]; n = rows * width
#define SCALE_COLUMNS(T, t)                                                                \
  KERNEL(scale_columns_##t, T* out, const T* x, const T* scale, i64 n, i64 width) {        \
    with_period(out, x, scale, n, width, [](float a, float b) { return a * b; });          \
  }
EACH_TYPE(SCALE_COLUMNS)

// ---- sums over rows: partial[chunk, m], each over rowsPerBlock rows in their order, in float

template <class F>
DEVICE void sum_columns(float* partial, i64 rows, i64 m, i64 rows_per_block, F term) {
  i64 column = (i64)blockIdx.x * blockDim.x + threadIdx.x;
  i64 chunk = blockIdx.y;
  if (column >= m) {
    return;
  }
  i64 end = least(rows, (chunk + 1) * rows_per_block);
  float sum[4] = {0, 0, 0, 0};  // four sums side by side, so that loads need not wait for one
  i64 r = chunk * rows_per_block;
  for (; r + 4 <= end; r += 4) {
#pragma unroll
    for (int i = 0; i < 4; i++) {
      sum[i] += term((r + i) * m + column);
    }
  }
  for (; r < end; r++) {
    sum[0] += term(r * m + column);
  }
  partial[chunk * m + column] = (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

#define COLUMN_SUMS(T, t)                                                                        \
  KERNEL(column_sums_##t, float* partial, const T* x, i64 rows, i64 m, i64 rowsPerBlock) {       \
    sum_columns(partial, rows, m, rowsPerBlock, [=](i64 i) { return to_float(x[i]); });          \
  }
EACH_TYPE(COLUMN_SUMS)

#define COLUMN_DOTS(T, t)                                                                        \
  KERNEL(column_dots_##t, float* partial, const T* a, const T* b, i64 rows, i64 m,               \
         i64 rowsPerBlock) {                                                                     \
    sum_columns(partial, rows, m, rowsPerBlock,                                                  \
                [=](i64 i) { return to_float(a[i]) * to_float(b[i]); });                         \
  }
EACH_TYPE(COLUMN_DOTS)

// ---- activations: f(x) and f'(x)

DEVICE float sigmoid(float x) { return 1 / (1 + expf(-x)); }

struct Silu {
  DEVICE_MEMBER float value(float x) { return x * sigmoid(x); }
  DEVICE_MEMBER float slope(float x) {
    float s = sigmoid(x);
    return s + x * s * (1 - s);
  }
};
struct Gelu {  // x times the normal distribution's function
  DEVICE_MEMBER float normal(float x) { return 0.5f * erfcf(-0.70710678118654752f * x); }
  DEVICE_MEMBER float value(float x) { return x * normal(x); }
  DEVICE_MEMBER float slope(float x) {
    return normal(x) + x * 0.39894228040143268f * expf(-0.5f * x * x);
  }
};
struct QuickGelu {
  DEVICE_MEMBER float value(float x) { return x * sigmoid(1.702f * x); }
  DEVICE_MEMBER float slope(float x) {
    float s = sigmoid(1.702f * x);
    return s + 1.702f * x * s * (1 - s);
  }
};
struct GeluTanh {  // with h = (1 + tanh u) / 2 the slope is h + 2 x h (1 - h) u'
  DEVICE_MEMBER float share(float x) {
    return 0.5f + 0.5f * tanhf(0.79788456080286536f * (x + 0.044715f * x * x * x));
  }
  DEVICE_MEMBER float value(float x) { return x * share(x); }
  DEVICE_MEMBER float slope(float x) {
    float h = share(x);
    float inner = 0.79788456080286536f * (1 + 3 * 0.044715f * x * x);
    return h + 2 * x * h * (1 - h) * inner;
  }
};
struct Relu {
  DEVICE_MEMBER float value(float x) { return fmaxf(x, 0); }
  DEVICE_MEMBER float slope(float x) { return x > 0 ? 1 : 0; }
};
struct HardSigmoid {
  DEVICE_MEMBER float value(float x) { return fminf(fmaxf(x * (1 / 6.0f) + 0.5f, 0), 1); }
  DEVICE_MEMBER float slope(float x) { return fabsf(x) < 3 ? 1 / 6.0f : 0; }
};
struct HardSwish {
  DEVICE_MEMBER float value(float x) { return x * HardSigmoid::value(x); }
  DEVICE_MEMBER float slope(float x) { return x < -3 ? 0 : x > 3 ? 1 : x * (1 / 3.0f) + 0.5f; }
};

// Numbers as in Java's enum Activation.
#define EACH_KIND(kind, call) \
  switch (kind) {             \
    case 0: call(Silu); break; \
    case 1: call(Gelu); break; \
    case 2: call(QuickGelu); break; \
    case 3: call(GeluTanh); break; \
    case 4: call(Relu); break; \
    case 5: call(HardSigmoid); break; \
    default: call(HardSwish); \
  }

#define ACTIVATE(K) map1(n, x, out, [](float v) { return K::value(v); })
#define ACTIVATION(T, t)                                       \
  KERNEL(activation_##t, T* out, const T* x, i64 n, int kind) { \
    EACH_KIND(kind, ACTIVATE)                                  \
  }
EACH_TYPE(ACTIVATION)

#define DEACTIVATE(K) map2(n, dout, x, dx, [](float d, float v) { return d * K::slope(v); })
#define ACTIVATION_BACKWARD(T, t)                                                               \
  KERNEL(activation_backward_##t, T* dx, const T* dout, const T* x, i64 n, int kind) {          \
    EACH_KIND(kind, DEACTIVATE)                                                                 \
  }
EACH_TYPE(ACTIVATION_BACKWARD)

// ---- gated: f(left half) times right half. x [rows, 2 width], out [rows, width]

template <class K, class T>
DEVICE void gate(T* out, const T* x, i64 rows, i64 width) {
  i64 n = rows * width, row, column;
  bool vector = aligned(out) && aligned(x) && width % 8 == 0;
  i64 whole = vector ? n : 0;
  for (i64 i = grid_thread() * 8; i < whole; i += grid_threads() * 8) {
    split(i, width, row, column);
    float a[8], b[8];
    load8(x + row * 2 * width + column, a);
    load8(x + row * 2 * width + width + column, b);
#pragma unroll
    for (int j = 0; j < 8; j++) {
      a[j] = K::value(a[j]) * b[j];
    }
    store8(out + i, a);
  }
  for (i64 i = whole + grid_thread(); i < n; i += grid_threads()) {
    split(i, width, row, column);
    const T* left = x + row * 2 * width + column;
    out[i] = rounded<T>(K::value(to_float(left[0])) * to_float(left[width]));
  }
}

// dx may be x: a thread reads both halves of its places before it writes them.
template <class K, class T>
DEVICE void gate_backward(T* dx, const T* dout, const T* x, i64 rows, i64 width) {
  i64 n = rows * width, row, column;
  bool vector = aligned(dx) && aligned(dout) && aligned(x) && width % 8 == 0;
  i64 whole = vector ? n : 0;
  for (i64 i = grid_thread() * 8; i < whole; i += grid_threads() * 8) {
    split(i, width, row, column);
    i64 at = row * 2 * width + column;
    float a[8], b[8], d[8];
    load8(x + at, a);
    load8(x + at + width, b);
    load8(dout + i, d);
#pragma unroll
    for (int j = 0; j < 8; j++) {
      b[j] = d[j] * K::slope(a[j]) * b[j];
      d[j] = d[j] * K::value(a[j]);
    }
    store8(dx + at, b);
    store8(dx + at + width, d);
  }
  for (i64 i = whole + grid_thread(); i < n; i += grid_threads()) {
    split(i, width, row, column);
    i64 at = row * 2 * width + column;
    float a = to_float(x[at]), b = to_float(x[at + width]), d = to_float(dout[i]);
    dx[at] = rounded<T>(d * K::slope(a) * b);
    dx[at + width] = rounded<T>(d * K::value(a));
  }
}

#define GATE(K) gate<K>(out, x, rows, width)
#define GATED(T, t)                                                              \
  KERNEL(gated_##t, T* out, const T* x, i64 rows, i64 width, int kind) {         \
    EACH_KIND(kind, GATE)                                                        \
  }
EACH_TYPE(GATED)

#define GATE_BACKWARD(K) gate_backward<K>(dx, dout, x, rows, width)
#define GATED_BACKWARD(T, t)                                                                    \
  KERNEL(gated_backward_##t, T* dx, const T* dout, const T* x, i64 rows, i64 width, int kind) { \
    EACH_KIND(kind, GATE_BACKWARD)                                                              \
  }
EACH_TYPE(GATED_BACKWARD)

// ---- to another type, to nearest even

#define CAST(S, s, D, d)                                     \
  KERNEL(cast_##s##_##d, D* out, const S* x, i64 n) {        \
    map1(n, x, out, [](float v) { return v; });              \
  }
CAST(float, f32, bf16, bf16)
CAST(float, f32, f16, f16)
CAST(bf16, bf16, float, f32)
CAST(bf16, bf16, f16, f16)
CAST(f16, f16, float, f32)
CAST(f16, f16, bf16, bf16)

// Sums come in double, and optimizers may want them in float.
KERNEL(cast_f64_f32, float* out, const double* x, i64 n) {
  for (i64 i = grid_thread(); i < n; i += grid_threads()) {
    out[i] = (float)x[i];
  }
}

KERNEL(cast_f32_f64, double* out, const float* x, i64 n) {
  for (i64 i = grid_thread(); i < n; i += grid_threads()) {
    out[i] = x[i];
  }
}
