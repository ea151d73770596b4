// Moving rows and columns. One block of 256 threads a row, unless said; a row number out of range
// leaves FAULT_ROW in *fault and counts as a row of zeros, or is passed over.

// A row of bytes in units of U, or zeros where `from` is null.
template <class U>
DEVICE void copy_units(unsigned char* to, const unsigned char* from, i64 bytes) {
  for (i64 i = (i64)threadIdx.x * sizeof(U); i < bytes; i += (i64)blockDim.x * sizeof(U)) {
    *(U*)(to + i) = from ? *(const U*)(from + i) : (U)0;
  }
}

// to = from, or zeros where from is null
DEVICE void copy_row(void* to, const void* from, i64 bytes) {
  unsigned char* t = (unsigned char*)to;
  const unsigned char* f = (const unsigned char*)from;
  unsigned long long all = (unsigned long long)t | (unsigned long long)f | (unsigned long long)bytes;
  if ((all & 15) == 0) {
    for (i64 i = (i64)threadIdx.x * 16; i < bytes; i += (i64)blockDim.x * 16) {
      store16(t + i, f ? load16(f + i) : make_uint4(0, 0, 0, 0));
    }
  } else if ((all & 3) == 0) {
    copy_units<unsigned>(t, f, bytes);
  } else if ((all & 1) == 0) {
    copy_units<unsigned short>(t, f, bytes);
  } else {
    copy_units<unsigned char>(t, f, bytes);
  }
}

// out[r] = table[rows[r]], bytes of any type; -1 is a row of zeros. Grid: n blocks.
KERNEL(gather_rows, void* out, const void* table, const int* rows, i64 n, i64 rowBytes,
       i64 tableRows, int* fault) {
  i64 r = blockIdx.x;
  int row = rows[r];
  bool known = row >= 0 && row < tableRows;
  if (!known && row != -1 && threadIdx.x == 0) {
    *fault = FAULT_ROW;
  }
  copy_row((unsigned char*)out + r * rowBytes,
           known ? (const unsigned char*)table + row * rowBytes : (const unsigned char*)0, rowBytes);
}

DEVICE void put_row(void* out, const void* value, const int* rows, i64 row_bytes, i64 table_rows,
                    int* fault) {
  int row = rows[blockIdx.x];
  if (row < 0 || row >= table_rows) {
    if (threadIdx.x == 0) {
      *fault = FAULT_ROW;
    }
    return;
  }
  copy_row((unsigned char*)out + row * row_bytes, value, row_bytes);
}

// out[rows[r]] = values[r]; no row is named twice. Grid: n blocks.
KERNEL(put_rows, void* out, const void* values, const int* rows, i64 n, i64 rowBytes,
       i64 tableRows, int* fault) {
  put_row(out, (const unsigned char*)values + blockIdx.x * rowBytes, rows, rowBytes, tableRows,
          fault);
}

// out[rows[r]] = 0. Grid: n blocks.
KERNEL(clear_rows, void* out, const int* rows, i64 n, i64 rowBytes, i64 tableRows, int* fault) {
  put_row(out, (const void*)0, rows, rowBytes, tableRows, fault);
}

// Rows of widthBytes from one pitch to another. Grid: a block a row.
KERNEL(copy_columns, void* out, i64 outPitch, const void* in, i64 inPitch, i64 widthBytes,
       i64 rows) {
  copy_row((unsigned char*)out + blockIdx.x * outPitch,
           (const unsigned char*)in + blockIdx.x * inPitch, widthBytes);
}

// out[rows[r]] += d[r] in order of r; out [tableRows, width] comes zeroed. Grid: n blocks. The
// block of the first row with a number adds up all rows with that number; the others leave.
template <class T>
DEVICE void scatter(float* out, const T* d, const int* rows, i64 n, i64 width, i64 table_rows,
                    int* fault) {
  const int LISTED = 256;
  SHARED(int, listed, LISTED);  // rows of one tile that have the number, in order
  SHARED(int, counts, 8);       // of each warp
  SHARED(int, earlier, 1);
  i64 r = blockIdx.x;
  int number = rows[r];
  if (number < 0 || number >= table_rows) {
    if (threadIdx.x == 0) {
      *fault = FAULT_ROW;
    }
    return;
  }
  if (threadIdx.x == 0) {
    earlier[0] = 0;
  }
  __syncthreads();
  bool found = false;
  for (i64 i = threadIdx.x; i < r && !found; i += blockDim.x) {
    found = rows[i] == number;
  }
  if (found) {
    earlier[0] = 1;
  }
  __syncthreads();
  if (earlier[0]) {
    return;
  }
  float* sum = out + number * width;
  for (i64 tile = r; tile < n; tile += LISTED) {
    i64 i = tile + threadIdx.x;
    bool mine = i < n && rows[i] == number;
    unsigned votes = __ballot_sync(ALL_LANES, mine);
    if (lane_id() == 0) {
      counts[warp_id()] = __popc(votes);
    }
    __syncthreads();
    int before = 0, total = 0;
    for (int w = 0; w < 8; w++) {
      before += w < warp_id() ? counts[w] : 0;
      total += counts[w];
    }
    if (mine) {
      listed[before + __popc(votes & ((1u << lane_id()) - 1))] = (int)threadIdx.x;
    }
    __syncthreads();
    for (i64 c = threadIdx.x; total > 0 && c < width; c += blockDim.x) {
      float s = sum[c];
      for (int j = 0; j < total; j++) {
        s += to_float(d[(tile + listed[j]) * width + c]);
      }
      sum[c] = s;
    }
    __syncthreads();
  }
}
BOUND_KERNEL(256, 1, scatter_rows_f32, float* out, const float* d, const int* rows, i64 n,
             i64 width, i64 tableRows, int* fault) {
  scatter(out, d, rows, n, width, tableRows, fault);
}
BOUND_KERNEL(256, 1, scatter_rows_bf16, float* out, const bf16* d, const int* rows, i64 n,
             i64 width, i64 tableRows, int* fault) {
  scatter(out, d, rows, n, width, tableRows, fault);
}

// out[r] = sum over j of weights[r, j] table[rows[r, j]], in order of j. Grid: n blocks.
template <class T>
DEVICE void mix(T* out, const T* table, const int* rows, const float* weights, i64 each, i64 width,
                i64 table_rows, int* fault) {
  i64 r = blockIdx.x;
  rows += r * each;
  weights += r * each;
  out += r * width;
  bool vector = aligned(table) && aligned(out) && width % 8 == 0;
  i64 step = vector ? 8 : 1;
  for (i64 j = threadIdx.x; j < each; j += blockDim.x) {
    if (rows[j] < 0 || rows[j] >= table_rows) {
      *fault = FAULT_ROW;
    }
  }
  for (i64 c = threadIdx.x * step; c < width; c += blockDim.x * step) {
    float sum[8] = {0, 0, 0, 0, 0, 0, 0, 0};
    for (i64 j = 0; j < each; j++) {
      int row = rows[j];
      if (row < 0 || row >= table_rows) {
        continue;
      }
      const T* from = table + row * width + c;
      float w = weights[j];
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
KERNEL(mix_rows_f32, float* out, const float* table, const int* rows, const float* weights, i64 n,
       i64 each, i64 width, i64 tableRows, int* fault) {
  mix(out, table, rows, weights, each, width, tableRows, fault);
}
KERNEL(mix_rows_bf16, bf16* out, const bf16* table, const int* rows, const float* weights, i64 n,
       i64 each, i64 width, i64 tableRows, int* fault) {
  mix(out, table, rows, weights, each, width, tableRows, fault);
}

// pixels [images, channels, height, width] to rows (image, down, across) of (channel, y, x). Grid:
// a loop over all elements.
template <class U>
DEVICE void patches(U* out, const U* pixels, i64 images, i64 channels, i64 height, i64 width,
                    i64 size) {
  i64 across = width / size, down = height / size, n = images * channels * height * width;
  for (i64 i = grid_thread(); i < n; i += grid_threads()) {
    i64 row, rest, image, place, top, left, channel, y, x;
    split(i, channels * size * size, row, rest);
    split(row, down * across, image, place);
    split(place, across, top, left);
    split(rest, size * size, channel, y);
    split(y, size, y, x);
    out[i] = pixels[((image * channels + channel) * height + top * size + y) * width + left * size + x];
  }
}
#define PATCHES(U, bytes)                                                                         \
  KERNEL(patches_b##bytes, void* out, const void* pixels, i64 images, i64 channels, i64 height,   \
         i64 width, int size) {                                                                   \
    patches((U*)out, (const U*)pixels, images, channels, height, width, size);                    \
  }
PATCHES(unsigned char, 1)
PATCHES(unsigned short, 2)
PATCHES(unsigned, 4)
PATCHES(unsigned long long, 8)

// Rotary embedding: x [rows, width], heads of 2 half from column `from` on; out [rows, heads 2
// half]; cos and sin [tableRows, half]. Grid: a block a row.
template <class T>
DEVICE void rotate(T* out, const T* x, const int* positions, const float* cos, const float* sin,
                   i64 width, i64 from, int heads, int half, i64 table_rows, int inverse,
                   int* fault) {
  i64 r = blockIdx.x;
  int position = positions[r];
  bool known = position >= 0 && position < table_rows;
  if (!known && threadIdx.x == 0) {
    *fault = FAULT_ROW;
  }
  cos += (known ? position : 0) * (i64)half;
  sin += (known ? position : 0) * (i64)half;
  x += r * width + from;
  out += r * heads * 2 * half;
  float sign = inverse ? -1 : 1;
  bool vector = half % 8 == 0 && aligned(x) && aligned(out) && aligned(cos) && aligned(sin);
  int step = vector ? 8 : 1, pairs = heads * half;
  for (int i = threadIdx.x * step; i < pairs; i += blockDim.x * step) {
    int head = i / half, at = i - head * half;
    i64 first = (i64)head * 2 * half + at, second = first + half;
    if (vector) {
      float a[8], b[8], c[8], s[8];
      load8(x + first, a);
      load8(x + second, b);
      load8(cos + at, c);
      load8(sin + at, s);
#pragma unroll
      for (int j = 0; j < 8; j++) {
        float turn = known ? sign * s[j] : 0, stay = known ? c[j] : 0;
        float turned = a[j] * stay - b[j] * turn;
        b[j] = b[j] * stay + a[j] * turn;
        a[j] = turned;
      }
      store8(out + first, a);
      store8(out + second, b);
    } else {
      float a = to_float(x[first]), b = to_float(x[second]);
      float turn = known ? sign * sin[at] : 0, stay = known ? cos[at] : 0;
      out[first] = rounded<T>(a * stay - b * turn);
      out[second] = rounded<T>(b * stay + a * turn);
    }
  }
}
#define ROTATE(T, t)                                                                              \
  KERNEL(rotate_##t, T* out, const T* x, const int* positions, const float* cos,                  \
         const float* sin, i64 rows, i64 width, i64 from, int heads, int half, i64 tableRows,     \
         int inverse, int* fault) {                                                               \
    rotate(out, x, positions, cos, sin, width, from, heads, half, tableRows, inverse, fault);     \
  }
ROTATE(float, f32)
ROTATE(bf16, bf16)
