// Who sees whom, and the products of attention on the tensor cores: for attention.cu and
// attention_mma.cu.

// Query i of a sequence sits at key position keys - queries + i.
struct Attention {
  const unsigned char *key_mask, *query_segments;
  const float* bias;
  int batch, queries, keys, q_heads, kv_heads, head_size;
  float scale;
  int causal, window, uniform;

  DEVICE_MEMBER_OF bool sees(int q, int k, unsigned key_number, unsigned query_number) const {
    int at = keys - queries + q;
    return k < keys && (!causal || k <= at) && (window == 0 || k > at - window) &&
           key_number != 0 && (query_segments == 0 || query_number == key_number);
  }
  DEVICE_MEMBER_OF unsigned key_number(int b, int k) const {
    return key_mask && k < keys ? key_mask[(i64)b * keys + k] : 1;
  }
  DEVICE_MEMBER_OF unsigned query_number(int b, int q) const {
    return query_segments && q < queries ? query_segments[(i64)b * queries + q] : 1;
  }
  // Keys that queries from..last may see: [first_key, end_key).
  DEVICE_MEMBER_OF int first_key(int from) const {
    return window > 0 ? min(max(keys - queries + from - window + 1, 0), keys) : 0;
  }
  DEVICE_MEMBER_OF int end_key(int last) const {
    return causal ? min(max(keys - queries + last + 1, 0), keys) : keys;
  }
  // Queries that pass something on to keys from..last: [first_query, end_query).
  DEVICE_MEMBER_OF int first_query(int from) const {
    return causal && !uniform ? min(max(from - (keys - queries), 0), queries) : 0;
  }
  DEVICE_MEMBER_OF int end_query(int last) const {
    return window > 0 && !uniform ? min(max(last + window - (keys - queries), 0), queries) : queries;
  }
};
const float BLIND = -3.40282347e38f;  // log of the sum of a query that sees nothing
#define ATTENTION                                                                             \
  const unsigned char *keyMask, const unsigned char *querySegments, const float *bias,        \
      int batch, int queries, int keys, int qHeads, int kvHeads, int headSize, float scale,   \
      int causal, int window, int uniformWhenBlind
#define ATTENTION_GIVEN                                                                       \
  {keyMask, querySegments, bias, batch, queries, keys, qHeads, kvHeads, headSize, scale,      \
   causal, window, uniformWhenBlind}

template <int M, int N>
DEVICE void clear(float (&sums)[M][N]) {
#pragma unroll
  for (int j = 0; j < M; j++) {
#pragma unroll
    for (int i = 0; i < N; i++) {
      sums[j][i] = 0;
    }
  }
}

// ---- tiles of 64 rows of one head for the tensor cores; blocks of 4 warps
//
// Fragments, lane l, g = l / 4, t = l % 4: a tile of sums [16, 8 n] has rows g and g + 8, columns 8 j
// + 2 t and the next; two neighbouring tiles of sums, rounded, are the left operand of a product.

const int TILE = 64;
const float LOG2E = 1.44269504f, LN2 = 0.69314718f;

template <int P>
struct Place {  // of a row's 16-byte chunks in a tile
  static const int CHUNKS = P / 8, BYTES = TILE * P * 2;
};

// Rows [first, first + 64) of a head into a tile; zeros from `limit` and from the head's size on.
template <int P>
DEVICE void copy_rows(unsigned char* to, const bf16* head, i64 row_pitch, int first, int limit,
                      int size) {
  const int CHUNKS = Place<P>::CHUNKS;
#pragma unroll 4
  for (int i = 0; i < TILE * CHUNKS / 128; i++) {
    int id = threadIdx.x + i * 128, row = id / CHUNKS, chunk = id % CHUNKS;
    bool valid = first + row < limit && chunk * 8 < size;
    copy_async(to + swizzled<CHUNKS>(row, chunk),
               valid ? head + (i64)(first + row) * row_pitch + chunk * 8 : head, valid);
  }
}

// Left operand: this warp's 16 rows of a tile, columns 16 step to 16 step + 16.
template <int P>
DEVICE void left_rows(unsigned (&r)[4], const unsigned char* tile, int step) {
  int lane = lane_id();
  load_matrices(r, tile + swizzled<P / 8>(warp_id() * 16 + (lane & 15), step * 2 + (lane >> 4)));
}

// sums[16, 8 N] = own rows times the tile's rows row0 to row0 + 8 N, over P columns.
template <int P, int N>
DEVICE void multiply_rows(float (&sums)[N][4], const unsigned char* own, const unsigned char* tile,
                          int row0) {
  int lane = lane_id();
#pragma unroll
  for (int j = 0; j < N; j++) {
#pragma unroll
    for (int i = 0; i < 4; i++) {
      sums[j][i] = 0;
    }
  }
#pragma unroll
  for (int step = 0; step < P / 16; step++) {
    unsigned a[4], b[4];
    left_rows<P>(a, own, step);
#pragma unroll
    for (int j = 0; j < N; j += 2) {
      int row = row0 + j * 8 + (lane >> 4) * 8 + (lane & 7);
      load_matrices(b, tile + swizzled<P / 8>(row, step * 2 + (lane >> 3 & 1)));
      multiply_add(sums[j], a, b[0], b[1]);
      multiply_add(sums[j + 1], a, b[2], b[3]);
    }
  }
}

// sums[16, P] += factors [16, 8 N] times the tile's rows row0 to row0 + 8 N.
template <int P, int N>
DEVICE void add_product(float (&sums)[P / 8][4], const float (&factors)[N][4],
                        const unsigned char* tile, int row0) {
  int lane = lane_id();
#pragma unroll
  for (int step = 0; step < N / 2; step++) {
    const float(&left)[4] = factors[2 * step];
    const float(&right)[4] = factors[2 * step + 1];
    unsigned a[4] = {pack_bf16(left[0], left[1]), pack_bf16(left[2], left[3]),
                     pack_bf16(right[0], right[1]), pack_bf16(right[2], right[3])};
    int row = row0 + step * 16 + (lane >> 3 & 1) * 8 + (lane & 7);
#pragma unroll
    for (int j = 0; j < P / 8; j += 2) {
      unsigned b[4];
      load_matrices_turned(b, tile + swizzled<P / 8>(row, j + (lane >> 4)));
      multiply_add(sums[j], a, b[0], b[1]);
      multiply_add(sums[j + 1], a, b[2], b[3]);
    }
  }
}

// Writes rows first + g and first + g + 8, each times its factor.
template <int P>
DEVICE void write_tile(bf16* head, i64 row_pitch, int first, int limit, int size,
                       const float (&sums)[P / 8][4], float upper, float lower) {
  int row = first + (lane_id() >> 2);
#pragma unroll
  for (int j = 0; j < P / 8; j++) {
    int column = j * 8 + (lane_id() & 3) * 2;
    if (column < size && row < limit) {
      *(unsigned*)(head + row * row_pitch + column) =
          pack_bf16(sums[j][0] * upper, sums[j][1] * upper);
    }
    if (column < size && row + 8 < limit) {
      *(unsigned*)(head + (row + 8) * row_pitch + column) =
          pack_bf16(sums[j][2] * lower, sums[j][3] * lower);
    }
  }
}
