package io.moextend.backend.cpu;

import java.lang.foreign.MemorySegment;

/** Copying and clearing memory by address. */
final class Bytes {
  private Bytes() {}

  static void copy(long from, long to, long bytes) {
    MemorySegment.copy(CpuArray.ALL, from, CpuArray.ALL, to, bytes);
  }

  static void clear(long address, long bytes) {
    CpuArray.ALL.asSlice(address, bytes).fill((byte) 0);
  }
}
