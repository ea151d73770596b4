// Tiles of grouped products and the tables they find their weights in: for grouped.cu and
// grouped_f32.cu.

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
