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

  /**
   * Cuts a stretch into short pieces and copies each to its place; a call of the library would take
   * longer than the copy of one.
   *
   * @param stride bytes from one piece's place to the next's
   */
  static void scatter(long from, long to, long stride, int bytes, int pieces) {
    int last = bytes - 8;
    if (last < 0 || last > 128) {
      for (int p = 0; p < pieces; p++) {
        copy(from + (long) p * bytes, to + p * stride, bytes);
      }
      return;
    }
    for (int p = 0; p < pieces; p++) {
      long source = from + (long) p * bytes;
      long target = to + p * stride;
      for (int i = 0; i < last; i += 8) {
        CpuArray.ALL.set(LONG, target + i, CpuArray.ALL.get(LONG, source + i));
      }
      // the last eight may have some of those before among them
      CpuArray.ALL.set(LONG, target + last, CpuArray.ALL.get(LONG, source + last));
    }
  }

  static void clear(long address, long bytes) {
    CpuArray.ALL.asSlice(address, bytes).fill((byte) 0);
  }
}
