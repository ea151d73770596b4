package io.moextend.comm;

/** What lies in a buffer. Sums are taken in f32 for both narrow types, in double for F64. */
public enum Payload {
  F32(4),
  BF16(2),
  F64(8),
  /** Moved as they are; cannot be summed. */
  BYTES(1);

  private final int bytes;

  Payload(int bytes) {
    this.bytes = bytes;
  }

  /** Of one element. */
  public int bytes() {
    return bytes;
  }
}
