// Adafactor without momentum; all arrays float, sums over a parameter in double. With g the gradient
// times its scale: v = decay v + mixing (g^2 + eps), u = g / sqrt(v), w -= rate u. Where v is
// factored, rows and columns are mixed means of g^2 + eps, and v[i, j] = rows[i] columns[j] /
// mean(rows). Which block adds what follows from sizes alone.

// The rate, from sums[0] = sum of u^2 and sums[1] = sum of w^2 over the whole parameter.
DEVICE double rate_of(const double* sums, double learning_rate, i64 elements, double clip,
                      int by_parameter, double least_root) {
  double scale = 1;
  if (by_parameter) {
    double root = sqrt(sums[1] / (double)elements);
    scale = root > least_root ? root : least_root;
  }
  double over = sqrt(sums[0] / (double)elements) / clip;
  return learning_rate * scale / (over > 1 ? over : 1);
}

// Changes v [n]; partial[block] = sum of u^2 over perBlock elements. Blocks of 256.
KERNEL(adafactor_squares, double* partial, float* v, const float* g, i64 n, i64 perBlock,
       float decay, float mixing, float eps, float gradientScale) {
  i64 begin = blockIdx.x * perBlock, end = least(n, begin + perBlock);
  double sum = 0;
  for (i64 i = begin + threadIdx.x; i < end; i += blockDim.x) {
    float x = g[i] * gradientScale;
    float kept = decay * v[i] + mixing * (x * x + eps);
    v[i] = kept;
    sum += (double)(x * x / kept);
  }
  sum = block_sum(sum);
  if (threadIdx.x == 0) {
    partial[blockIdx.x] = sum;
  }
}

// w -= rate g gradientScale / sqrt(v). Grid: over elements.
KERNEL(adafactor_move, float* w, const float* v, const float* g, const double* sums, i64 n,
       double learningRate, i64 elements, double clip, int byParameter, double least,
       double gradientScale) {
  SHARED(float, by, 1);
  if (threadIdx.x == 0) {
    by[0] = (float)(rate_of(sums, learningRate, elements, clip, byParameter, least) * gradientScale);
  }
  __syncthreads();
  for (i64 i = grid_thread(); i < n; i += grid_threads()) {
    w[i] -= by[0] * (g[i] / sqrtf(v[i]));
  }
}

// rows[i] = decay rows[i] + mixing (mean of g[i]^2 + eps). One block of 256 a row.
KERNEL(adafactor_rows, float* rows, const float* g, i64 height, i64 width, double decay,
       double mixing, double eps, float gradientScale) {
  g += blockIdx.x * width;
  double sum = 0;
  for (i64 c = threadIdx.x; c < width; c += blockDim.x) {
    double x = g[c] * gradientScale;
    sum += x * x;
  }
  sum = block_sum(sum);
  if (threadIdx.x == 0) {
    rows[blockIdx.x] = (float)(decay * rows[blockIdx.x] + mixing * (sum / (double)width + eps));
  }
}

// partial[chunk, column] = sum of squares over rowsPerBlock rows, in order. One thread a column, one
// row of blocks a chunk.
KERNEL(adafactor_column_squares, double* partial, const float* g, i64 height, i64 width,
       i64 rowsPerBlock, float gradientScale) {
  i64 c = (i64)blockIdx.x * blockDim.x + threadIdx.x;
  if (c >= width) {
    return;
  }
  double sum = 0;
  i64 end = least(height, (blockIdx.y + 1) * rowsPerBlock);
  for (i64 r = blockIdx.y * rowsPerBlock; r < end; r++) {
    double x = g[r * width + c] * gradientScale;
    sum += x * x;
  }
  partial[blockIdx.y * width + c] = sum;
}

// columns[j] = decay columns[j] + mixing (sum over chunks / height + eps). One thread a column.
KERNEL(adafactor_columns, float* columns, const double* partial, i64 chunks, i64 height, i64 width,
       double decay, double mixing, double eps) {
  i64 c = grid_thread();
  if (c < width) {
    double sum = 0;
    for (i64 i = 0; i < chunks; i++) {
      sum += partial[i * width + c];
    }
    columns[c] = (float)(decay * columns[c] + mixing * (sum / (double)height + eps));
  }
}

// One block: mean[0] = mean of rows [n]
KERNEL(adafactor_mean, double* mean, const float* rows, i64 n) {
  double sum = 0;
  for (i64 i = threadIdx.x; i < n; i += blockDim.x) {
    sum += rows[i];
  }
  sum = block_sum(sum);
  if (threadIdx.x == 0) {
    mean[0] = sum / (double)n;
  }
}

// partial[i] = sum over row i of u^2. One block of 256 a row.
KERNEL(adafactor_updates, double* partial, const float* g, const float* rows, const float* columns,
       const double* mean, i64 height, i64 width, float gradientScale) {
  g += blockIdx.x * width;
  double sum = 0;
  for (i64 c = threadIdx.x; c < width; c += blockDim.x) {
    float x = g[c] * gradientScale;
    sum += (double)x * x / columns[c];
  }
  sum = block_sum(sum);
  if (threadIdx.x == 0) {
    partial[blockIdx.x] = sum * (mean[0] / rows[blockIdx.x]);
  }
}

// w -= rate g gradientScale / sqrt(rows[i] columns[j] / mean). One block of 256 a row.
KERNEL(adafactor_factored_move, float* w, const float* g, const float* rows, const float* columns,
       const double* mean, const double* sums, i64 height, i64 width, double learningRate,
       i64 elements, double clip, int byParameter, double least, double gradientScale) {
  SHARED(float, by, 1);
  if (threadIdx.x == 0) {
    double rate = rate_of(sums, learningRate, elements, clip, byParameter, least);
    by[0] = (float)(rate * gradientScale * sqrt(mean[0] / rows[blockIdx.x]));
  }
  __syncthreads();
  w += blockIdx.x * width;
  g += blockIdx.x * width;
  for (i64 c = threadIdx.x; c < width; c += blockDim.x) {
    w[c] -= by[0] * (g[c] / sqrtf(columns[c]));
  }
}
