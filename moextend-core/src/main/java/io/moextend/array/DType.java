package io.moextend.array;

/**
 * Element type of an {@link Array}. BF16 is for storage and for the inputs of products; sums are
 * taken in {@link #wide()}. F64 exists for the oracle backend.
 */
public enum DType {
  F64(8, true),
  F32(4, true),
  BF16(2, true),
  F16(2, true),
  I64(8, false),
  I32(4, false),
  I8(1, false),
  U8(1, false);

  private final int bytes;
  private final boolean floating;

  DType(int bytes, boolean floating) {
    this.bytes = bytes;
    this.floating = floating;
  }

  /** Bytes an element takes. */
  public int bytes() {
    return bytes;
  }

  public boolean isFloating() {
    return floating;
  }

  /** The type sums of this type are taken in: F64 for F64, F32 for every other floating type. */
  public DType wide() {
    if (!floating) {
      throw new IllegalStateException(this + " has no wide type");
    }
    return this == F64 ? F64 : F32;
  }
}
