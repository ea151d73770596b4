package io.moextend.backend;

import io.moextend.array.DType;

/** How far a result may be from the oracle's, relative to the largest number of its row. */
final class Tolerance {
  private Tolerance() {}

  /**
   * About a hundred roundings of F64 and F32, whose errors come from sums; one and a half of BF16,
   * whose sums are F32's.
   */
  static double of(DType dtype) {
    return switch (dtype) {
      case F64 -> 1e-12;
      case F32 -> 1e-5;
      case BF16 -> 0x1p-7;
      case F16 -> 0x1p-10;
      case I64, I32, I8, U8 -> 0;
    };
  }
}
