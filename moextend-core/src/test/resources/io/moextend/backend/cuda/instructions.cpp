// What lanes of a warp do together, and conversions; see emulator.hpp.
#include "emulator.hpp"

namespace emulator {
namespace {
struct MatrixRows {
  const void* row;
  unsigned* r;
};
void matrices(Deposit* lanes, bool turned) {
  auto element = [&](int matrix, int row, int column) {
    return ((const uint16_t*)((MatrixRows*)lanes[matrix * 8 + row])->row)[column];
  };
  for (int l = 0; l < WARP; l++) {
    for (int j = 0; j < 4; j++) {
      int a = l / 4, b = l % 4 * 2;
      unsigned low = turned ? element(j, b, a) : element(j, a, b);
      unsigned high = turned ? element(j, b + 1, a) : element(j, a, b + 1);
      ((MatrixRows*)lanes[l])->r[j] = low | high << 16;
    }
  }
}
struct Fragments {
  const unsigned* a;
  unsigned b0, b1;
  float* d;
};
float low(unsigned v) { return __uint_as_float(v << 16); }
float high(unsigned v) { return __uint_as_float(v & 0xffff0000u); }
void fragments(Deposit* lanes, unsigned) {
  float a[16][16], b[16][8], d[16][8];
  for (int l = 0; l < WARP; l++) {
    auto* f = (Fragments*)lanes[l];
    int g = l / 4, t = l % 4 * 2;
    for (int i = 0; i < 4; i++) {
      a[g + i % 2 * 8][t + i / 2 * 8] = low(f->a[i]);
      a[g + i % 2 * 8][t + i / 2 * 8 + 1] = high(f->a[i]);
    }
    b[t][g] = low(f->b0), b[t + 1][g] = high(f->b0);
    b[t + 8][g] = low(f->b1), b[t + 9][g] = high(f->b1);
    for (int i = 0; i < 4; i++) {
      d[g + i / 2 * 8][t + i % 2] = f->d[i];
    }
  }
  for (int i = 0; i < 16; i++) {
    for (int k = 0; k < 16; k++) {
      for (int j = 0; j < 8; j++) {
        d[i][j] += a[i][k] * b[k][j];
      }
    }
  }
  for (int l = 0; l < WARP; l++) {
    for (int i = 0; i < 4; i++) {
      ((Fragments*)lanes[l])->d[i] = d[l / 4 + i / 2 * 8][l % 4 * 2 + i % 2];
    }
  }
}
}  // namespace

void load_matrices(unsigned (&r)[4], const void* row, bool turned) {
  aligned16(row);
  MatrixRows own{row, r};
  if (turned) {
    collective(~0u, [](Deposit* lanes, unsigned) { matrices(lanes, true); }, &own);
  } else {
    collective(~0u, [](Deposit* lanes, unsigned) { matrices(lanes, false); }, &own);
  }
}

void multiply_add(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  Fragments own{a, b0, b1, d};
  collective(~0u, fragments, &own);
}

namespace {
// An element of an operand of wgmma as its descriptor says, all with the 128-byte swizzle: along K
// rows of 128 bytes in groups of 8; turned, blocks of 64 columns whose rows of 128 bytes are K.
float described(uint64_t descriptor, bool turned, int row, int k) {
  unsigned start = (unsigned)(descriptor & 0x3fff) << 4;
  unsigned columns = (unsigned)(descriptor >> 16 & 0x3fff) << 4;
  unsigned rows = (unsigned)(descriptor >> 32 & 0x3fff) << 4;
  unsigned at = turned ? row / 64 * columns + k / 8 * rows + k % 8 * 128 + row % 64 * 2
                       : row / 8 * rows + row % 8 * 128 + k * 2;
  unsigned address = start + at;
  address ^= (address >> 7 & 7) << 4;
  return low(*(const uint16_t*)shared_at(address));
}
}  // namespace

void multiply_group(float (&d)[32][4], uint64_t a, uint64_t b, bool more, bool a_turned, bool b_turned) {
  if (a >> 62 != 1 || b >> 62 != 1) {
    fail("an operand that is not laid out in the 128-byte swizzle");
  }
  now->products.push_back({d, a, b, more, a_turned, b_turned, now->product_group});
}

void products_commit() { now->product_group++; }

void products_wait(int pending) {
  Fiber& own = *now;
  size_t done = 0;
  for (; done < own.products.size() && own.products[done].group < own.product_group - pending; done++) {
    const Product& p = own.products[done];
    for (int half = 0; half < 2; half++) {
      float a[16];
      for (int k = 0; k < 16; k++) {
        a[k] = described(p.a, p.a_turned, own.warp % 4 * 16 + half * 8 + own.lane / 4, k);
      }
      for (int column = 0; column < 64; column++) {
        int n = column / 2 * 8 + own.lane % 4 * 2 + column % 2;
        float& sum = p.d[column / 2][half * 2 + column % 2];
        float total = p.more ? sum : 0;
        for (int k = 0; k < 16; k++) {
          total += a[k] * described(p.b, p.b_turned, n, k);
        }
        sum = total;
      }
    }
  }
  own.products.erase(own.products.begin(), own.products.begin() + (long)done);
}

unsigned ballot(unsigned mask, bool vote) {
  Vote own{vote, 0};
  collective(
      mask,
      [](Deposit* lanes, unsigned present) {
        unsigned result = 0;
        for (int l = 0; l < WARP; l++) {
          result |= (present >> l & 1) && ((Vote*)lanes[l])->value ? 1u << l : 0;
        }
        for (int l = 0; l < WARP; l++) {
          if (present >> l & 1) {
            ((Vote*)lanes[l])->result = result;
          }
        }
      },
      &own);
  return own.result;
}

unsigned match(unsigned mask, unsigned value) {
  Vote own{value, 0};
  collective(
      mask,
      [](Deposit* lanes, unsigned present) {
        for (int l = 0; l < WARP; l++) {
          for (int m = 0; (present >> l & 1) && m < WARP; m++) {
            if ((present >> m & 1) && ((Vote*)lanes[m])->value == ((Vote*)lanes[l])->value) {
              ((Vote*)lanes[l])->result |= 1u << m;
            }
          }
        }
      },
      &own);
  return own.result;
}

uint16_t to_bf16(float x) {
  uint32_t bits = __float_as_uint(x);
  if (std::isnan(x)) {
    return 0x7fff;
  }
  return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
uint16_t to_half(float x) {
  if (std::isnan(x)) {
    return 0x7fff;
  }
  _Float16 half = (_Float16)x;
  uint16_t bits;
  memcpy(&bits, &half, 2);
  return bits;
}
float from_half(uint16_t bits) {
  _Float16 half;
  memcpy(&half, &bits, 2);
  return (float)half;
}
}  // namespace emulator
