package io.moextend.backend.cpu;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Copying and clearing memory by address. */
final class Bytes {
  private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED;

  private Bytes() {}

  static void copy(long from, long to, long bytes) {
    MemorySegment.copy(CpuArray.ALL, from, CpuArray.ALL, to, bytes);
  }

  /** Copies a few bytes, for which a call of the library takes longer than the copy. */
  static void copyShort(long from, long to, long bytes) {
    if (bytes < 8 || bytes > 128) {
      copy(from, to, bytes);
      return;
    }
    long last = bytes - 8;
    for (long i = 0; i < last; i += 8) {
      CpuArray.ALL.set(LONG, to + i, CpuArray.ALL.get(LONG, from + i));
    }
    CpuArray.ALL.set(LONG, to + last, CpuArray.ALL.get(LONG, from + last)); // may overlap
  }

  static void clear(long address, long bytes) {
    CpuArray.ALL.asSlice(address, bytes).fill((byte) 0);
  }
}
