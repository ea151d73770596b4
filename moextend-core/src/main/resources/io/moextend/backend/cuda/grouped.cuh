// Tiles of grouped products and the tables they find their weights in: for
// grouped.cu, grouped_sm90.cu and grouped_f32.cu.

enum Mode { PRODUCT, TRANSPOSED, GRADIENT };

// One tile's place, and what it multiplies.
struct Tile {
  i64 row0;    // first row of the expert (in x or dy)
  i64 m0, m;   // first row of the tile within M, and M
  i64 n0, n;   // first column, and N
  i64 k;       // K
  int expert;
};

// Which tile block `id` takes: experts in order, within an expert bands of 16 row tiles, within a
// band the row tiles side by side, so that neighbours in time read the same weights and the band's
// rows stay in the second-level cache. False: no tile is left.
template <int BM, int BN>
DEVICE bool find_tile(Tile& t, i64 id, const int* offsets, int experts, i64 columns, i64 n, i64 k) {
  const i64 BAND = 16;
  for (int e = 0; e < experts; e++) {
    i64 begin = offsets[e], m = offsets[e + 1] - begin, high = (m + BM - 1) / BM;
    if (id < high * columns) {
      i64 band = id / (BAND * columns), inside = id - band * BAND * columns;
      i64 rows = least(BAND, high - band * BAND);
      t.row0 = begin;
      t.m = m;
      t.m0 = (band * BAND + inside % rows) * BM;
      t.n0 = inside / rows * BN;
      t.n = n;
      t.k = k;
      t.expert = e;
      return true;
    }
    id -= high * columns;
  }
  return false;
}

// Row `row` of an expert's stack of parts.
template <class T>
DEVICE const T* weight_row(const T* const* parts_of, const int* ends, int parts, i64 row, i64 in) {
  i64 begin = 0;
  int p = 0;
  for (; p < parts - 1 && row >= ends[p]; p++) {
    begin = ends[p];
  }
  return parts_of[p] + (row - begin) * in;
}

// ---- bf16

// 16 bytes of a row into shared memory; zeros where the row is not valid or behind the limit.
template <bool VECTOR>
DEVICE void fetch(unsigned char* to, const bf16* row, i64 column, i64 limit, bool valid) {
  if (VECTOR) {
    bool inside = valid && column < limit;
    copy_async(to, inside ? row + column : row, inside);
  } else {
    unsigned v[8];
#pragma unroll
    for (int i = 0; i < 8; i++) {
      v[i] = valid && column + i < limit ? row[column + i].bits : 0;
    }
    store16(to, make_uint4(v[0] | v[1] << 16, v[2] | v[3] << 16, v[4] | v[5] << 16, v[6] | v[7] << 16));
  }
}

// Where a tile's operands lie. A: x, dy, or dy by columns; B: weights, or x.
struct Operands {
  const bf16* a;
  i64 a_pitch;
  const bf16* const* parts_of;  // of the tile's expert
  const int* ends;
  int parts;
  const bf16* b;  // gradient: x; else the first part of the weights
  i64 b_pitch;
};

DEVICE void store_pair(float* p, float first, float second, bool together) {
  if (together) {
    *(float2*)p = make_float2(first, second);
  } else {
    p[0] = first;
    p[1] = second;
  }
}
DEVICE void store_pair(bf16* p, float first, float second, bool together) {
  if (together) {
    *(unsigned*)p = pack_bf16(first, second);
  } else {
    p[0] = rounded<bf16>(first);
    p[1] = rounded<bf16>(second);
  }
}
