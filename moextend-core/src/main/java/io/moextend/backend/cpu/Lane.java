package io.moextend.backend.cpu;

import java.util.ArrayList;
import java.util.List;

/** What one worker has to itself: scratch memory and its own oneDNN primitives. */
final class Lane implements AutoCloseable {
  /** Scratch of the library's own, in {@link #scratch}. */
  static final int LIBRARY = 0;

  private final int index;
  private final CpuMemory memory;
  private final OneDnn library;
  private final Gemm gemm;
  private final List<float[]> floats = new ArrayList<>();
  private final List<Scratch> scratch = new ArrayList<>();
  private int threadsBefore;

  private record Scratch(long address, long capacity) {}

  Lane(int index, CpuMemory memory, OneDnn library) {
    this.index = index;
    this.memory = memory;
    this.library = library;
    this.gemm = new Gemm(library, this);
  }

  int index() {
    return index;
  }

  /** This worker's products. */
  Gemm gemm() {
    return gemm;
  }

  /**
   * At least {@code n} floats, and whole vectors; the content is left from before.
   *
   * @param slot which of the buffers; the same slot gives the same one
   */
  float[] floats(int slot, int n) {
    int wanted = (n + 15) & -16;
    while (floats.size() <= slot) {
      floats.add(new float[0]);
    }
    float[] found = floats.get(slot);
    if (found.length < wanted) {
      found = new float[Math.max(wanted, 2 * found.length)];
      floats.set(slot, found);
    }
    return found;
  }

  /** Address of at least {@code bytes} of aligned memory, with content left from before. */
  long scratch(int slot, long bytes) {
    while (scratch.size() <= slot) {
      scratch.add(new Scratch(0, 0));
    }
    Scratch found = scratch.get(slot);
    if (found.capacity < bytes) {
      if (found.capacity > 0) {
        memory.give(found.address, found.capacity);
      }
      found = new Scratch(memory.take(bytes), bytes);
      scratch.set(slot, found);
    }
    return found.address;
  }

  /** Called on the thread that is about to work: the library must not start threads of its own. */
  void enter() {
    threadsBefore = library.threads();
    if (threadsBefore != 1) {
      library.setThreads(1);
    }
  }

  /** Restores what {@link #enter} found. */
  void leave() {
    if (threadsBefore != 1) {
      library.setThreads(threadsBefore);
    }
  }

  @Override
  public void close() {
    gemm.close();
    scratch.stream().filter(s -> s.capacity > 0).forEach(s -> memory.give(s.address, s.capacity));
    scratch.clear();
  }
}
