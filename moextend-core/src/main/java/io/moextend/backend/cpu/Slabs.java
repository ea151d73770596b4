package io.moextend.backend.cpu;

import io.moextend.backend.BackendException;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Blocks cut from a few large {@link Slab}s of the C library's memory, on huge pages where the
 * kernel offers them. Filled from the first slab on, so that what is idle gathers in the last ones.
 * Not thread-safe.
 */
final class Slabs implements AutoCloseable {
  private static final int MADV_DONTNEED = 4;
  private static final int MADV_HUGEPAGE = 14;

  /** Beyond what the C library would take from its own pools. */
  private static final long SMALLEST = 256L << 20;

  private static final MethodHandle ALLOCATE =
      libc(
          "aligned_alloc",
          FunctionDescriptor.of(
              ValueLayout.JAVA_LONG, ValueLayout.JAVA_LONG, ValueLayout.JAVA_LONG));
  private static final MethodHandle FREE =
      libc("free", FunctionDescriptor.ofVoid(ValueLayout.JAVA_LONG));
  private static final MethodHandle ADVISE =
      libc(
          "madvise",
          FunctionDescriptor.of(
              ValueLayout.JAVA_INT,
              ValueLayout.JAVA_LONG,
              ValueLayout.JAVA_LONG,
              ValueLayout.JAVA_INT));

  private final long granule;
  private final List<Slab> slabs = new ArrayList<>();
  private final TreeMap<Long, Slab> byAddress = new TreeMap<>();
  private long usedBytes;

  /**
   * @param granule what blocks begin at and are rounded up to, in bytes; it divides a page
   */
  Slabs(long granule) {
    this.granule = granule;
  }

  /** Bytes in use, rounding counted. */
  long usedBytes() {
    return usedBytes;
  }

  /** Bytes that the operating system may have given pages for. */
  long heldBytes() {
    return slabs.stream().mapToLong(Slab::touchedBytes).sum();
  }

  /** The address of a block, with content left from before. */
  long take(long bytes) {
    long wanted = rounded(bytes, granule);
    for (Slab slab : slabs) {
      long address = slab.take(wanted);
      if (address != 0) {
        usedBytes += wanted;
        return address;
      }
    }
    long address = grow(wanted).take(wanted);
    usedBytes += wanted;
    return address;
  }

  /**
   * @param bytes as {@link #take} was asked for
   */
  void give(long address, long bytes) {
    Map.Entry<Long, Slab> slab = byAddress.floorEntry(address);
    if (slab == null) {
      throw new IllegalArgumentException("0x%x is of no slab".formatted(address));
    }
    slab.getValue().give(address, rounded(bytes, granule));
    usedBytes -= rounded(bytes, granule);
  }

  /** Gives idle pages back to the operating system. */
  void trim() {
    for (Iterator<Slab> all = slabs.iterator(); all.hasNext(); ) {
      Slab slab = all.next();
      if (slab.isEmpty()) {
        all.remove();
        byAddress.remove(slab.address());
        release(slab);
      } else {
        slab.drop((address, bytes) -> advise(address, bytes, MADV_DONTNEED));
      }
    }
  }

  /** Slabs grow with what they hold, so that a few are enough for any amount. */
  private Slab grow(long wanted) {
    long least = rounded(wanted, Slab.PAGE);
    long bytes = Math.max(least, Math.max(SMALLEST, rounded(usedBytes / 2, Slab.PAGE)));
    long address = allocated(bytes);
    if (address == 0 && least < bytes) {
      bytes = least;
      address = allocated(bytes);
    }
    if (address == 0) {
      throw new BackendException(
          "out of memory: wanted %,d bytes beside %,d live ones; use a smaller batch, --checkpointing or --dtype bf16"
              .formatted(wanted, usedBytes));
    }
    advise(address, bytes, MADV_HUGEPAGE);
    var slab = new Slab(address, bytes);
    slabs.add(slab);
    byAddress.put(address, slab);
    return slab;
  }

  private static long rounded(long bytes, long step) {
    return (Math.max(1, bytes) + step - 1) / step * step;
  }

  @Override
  public void close() {
    slabs.forEach(Slabs::release);
    slabs.clear();
    byAddress.clear();
    usedBytes = 0;
  }

  private static long allocated(long bytes) {
    try {
      return (long) ALLOCATE.invokeExact(Slab.PAGE, bytes);
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  /** Advice: where the kernel does not take it, the memory works as well. */
  private static void advise(long address, long bytes, int advice) {
    try {
      int ignored = (int) ADVISE.invokeExact(address, bytes, advice);
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  private static void release(Slab slab) {
    try {
      FREE.invokeExact(slab.address());
    } catch (Throwable e) {
      throw unexpected(e);
    }
  }

  private static RuntimeException unexpected(Throwable e) {
    if (e instanceof Error error) {
      throw error;
    }
    return e instanceof RuntimeException r ? r : new IllegalStateException(e);
  }

  private static MethodHandle libc(String name, FunctionDescriptor signature) {
    Linker linker = Linker.nativeLinker();
    return linker.downcallHandle(linker.defaultLookup().findOrThrow(name), signature);
  }
}
