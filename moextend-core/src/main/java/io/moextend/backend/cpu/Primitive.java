package io.moextend.backend.cpu;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** A compiled oneDNN operation with its argument list; used by the thread that made it alone. */
final class Primitive implements AutoCloseable {
  private final OneDnn library;
  private final long primitive;
  private final long[] memories;
  private final int count;
  private final long scratchpad;
  private final long scratchBytes;
  private final Arena arena = Arena.ofShared(); // closed by whoever closes the backend
  private final long arguments;

  /**
   * @param layouts of the arguments; 0 = there is none
   */
  Primitive(OneDnn library, long description, int[] arguments, long[] layouts) {
    this.library = library;
    this.primitive = library.primitive(description);
    this.memories = new long[4];
    MemorySegment list = arena.allocate(16L * (arguments.length + 1), 8);
    int used = 0;
    for (int i = 0; i < layouts.length; i++) {
      if (layouts[i] != 0) {
        memories[i] = library.memory(layouts[i]);
        put(list, used++, arguments[i], memories[i]);
      }
    }
    long layout = library.scratchpadOf(description);
    this.scratchBytes = library.bytes(layout);
    this.scratchpad = scratchBytes > 0 ? library.memory(layout) : 0;
    library.destroy("dnnl_memory_desc_destroy", layout);
    if (scratchpad != 0) {
      put(list, used++, OneDnn.SCRATCHPAD, scratchpad);
    }
    this.count = used;
    this.arguments = list.address();
  }

  private static void put(MemorySegment list, int i, int argument, long memory) {
    list.set(ValueLayout.JAVA_INT, 16L * i, argument);
    list.set(ValueLayout.JAVA_LONG, 16L * i + 8, memory);
  }

  /** Runs on the addresses of the arguments, in the constructor's order; waits for the end. */
  void run(long stream, Lane lane, long first, long second, long third, long fourth) {
    bind(0, first);
    bind(1, second);
    bind(2, third);
    bind(3, fourth);
    if (scratchpad != 0) {
      library.bind(scratchpad, lane.scratch(Lane.LIBRARY, scratchBytes));
    }
    library.execute(primitive, stream, count, arguments); // a CPU stream runs it before returning
  }

  private void bind(int argument, long address) {
    if (memories[argument] != 0) {
      library.bind(memories[argument], address);
    }
  }

  @Override
  public void close() {
    library.destroy("dnnl_primitive_destroy", primitive);
    for (long memory : memories) {
      if (memory != 0) {
        library.destroy("dnnl_memory_destroy", memory);
      }
    }
    if (scratchpad != 0) {
      library.destroy("dnnl_memory_destroy", scratchpad);
    }
    arena.close();
  }
}
