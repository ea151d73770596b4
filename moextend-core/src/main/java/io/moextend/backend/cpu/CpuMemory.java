package io.moextend.backend.cpu;

import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.array.Memory;
import io.moextend.backend.BackendException;
import io.moextend.backend.HostShare;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;

/**
 * The C library's allocator behind free lists by size class: a step's blocks are used again by the
 * next step, unzeroed and with their pages in place. Four classes a power of two, so at most a
 * quarter is lost. Large blocks start on huge pages where the kernel offers them.
 */
final class CpuMemory implements Memory, AutoCloseable {
  private static final int ALIGNMENT = 64;
  private static final long HUGE = 2L << 20;
  private static final int MADV_HUGEPAGE = 14;

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

  private final Map<Long, ArrayDeque<Long>> free = new HashMap<>();
  private final Set<Owned> live = new HashSet<>();
  private final Set<Lent> lent = new HashSet<>();
  private long freeBytes;
  private long liveBytes;
  private long peakBytes;
  private long sharedBytes;
  private boolean closed;

  /** A block of ours; written under the memory's lock, read by kernels. */
  private static final class Owned implements CpuArray.Block {
    final long address;
    final long capacity;
    volatile boolean live = true;

    Owned(long address, long capacity) {
      this.address = address;
      this.capacity = capacity;
    }

    @Override
    public boolean isLive() {
      return live;
    }

    @Override
    public boolean isReadOnly() {
      return false;
    }
  }

  /** A block that all processes of the host have once. */
  private static final class Lent implements CpuArray.Block {
    final HostShare.Block block;

    Lent(HostShare.Block block) {
      this.block = block;
    }

    @Override
    public boolean isLive() {
      return block.memory().scope().isAlive();
    }

    @Override
    public boolean isReadOnly() {
      return true;
    }
  }

  /** An array over a shared block, which is unmapped when the array is freed. */
  synchronized CpuArray lend(HostShare.Block block, DType dtype, long... shape) {
    var owner = new Lent(block);
    lent.add(owner);
    sharedBytes += block.memory().byteSize();
    return new CpuArray(dtype, shape, owner, block.memory().address(), null);
  }

  @Override
  public CpuArray allocate(DType dtype, long... shape) {
    long bytes = Math.multiplyExact(Array.sizeOf(shape), dtype.bytes());
    synchronized (this) {
      long capacity = sizeClass(bytes);
      var block = new Owned(take(capacity), capacity);
      live.add(block);
      liveBytes += bytes;
      peakBytes = Math.max(peakBytes, liveBytes);
      return new CpuArray(dtype, shape, block, block.address, null);
    }
  }

  @Override
  public synchronized void free(Array base) {
    if (base.base() == base
        && base instanceof CpuArray array
        && array.block() instanceof Lent owner
        && lent.remove(owner)) {
      sharedBytes -= owner.block.memory().byteSize();
      owner.block.close();
      return;
    }
    if (base.base() != base
        || !(base instanceof CpuArray array)
        || !(array.block() instanceof Owned block)) {
      throw new IllegalArgumentException(base + " was not allocated here");
    }
    if (!live.remove(block)) {
      throw new IllegalStateException(base + " was freed before");
    }
    block.live = false;
    liveBytes -= base.bytes();
    give(block.address, block.capacity);
  }

  /** Scratch of a worker, not counted as an array's. Returned by {@link #give}. */
  synchronized long take(long capacity) {
    if (closed) {
      throw new IllegalStateException("the backend is closed");
    }
    ArrayDeque<Long> list = free.get(capacity);
    if (list != null && !list.isEmpty()) {
      freeBytes -= capacity;
      return list.removeLast();
    }
    // What lies idle in other classes is given back before it could add half of the peak.
    if (freeBytes + liveBytes + capacity > peakBytes + peakBytes / 2 + (64L << 20)) {
      trim();
    }
    return fresh(capacity);
  }

  synchronized void give(long address, long capacity) {
    if (closed) {
      release(address);
      return;
    }
    free.computeIfAbsent(capacity, c -> new ArrayDeque<>()).addLast(address);
    freeBytes += capacity;
  }

  /** Gives all idle blocks back to the operating system. */
  synchronized void trim() {
    for (ArrayDeque<Long> list : free.values()) {
      list.forEach(CpuMemory::release);
    }
    free.clear();
    freeBytes = 0;
  }

  /** Bytes kept for the next allocation. */
  synchronized long idleBytes() {
    return freeBytes;
  }

  @Override
  public synchronized long liveBytes() {
    return liveBytes;
  }

  @Override
  public synchronized long peakBytes() {
    return peakBytes;
  }

  @Override
  public synchronized long sharedBytes() {
    return sharedBytes;
  }

  @Override
  public synchronized void resetPeak() {
    peakBytes = liveBytes;
  }

  /** Arrays still alive die with their backend. */
  @Override
  public synchronized void close() {
    trim();
    for (Owned block : live) {
      block.live = false;
      release(block.address);
    }
    live.clear();
    lent.forEach(owner -> owner.block.close());
    lent.clear();
    sharedBytes = 0;
    liveBytes = 0;
    closed = true;
  }

  /** The capacity that serves a request: 64, 128, 192, 256, 320, 384, 448, 512, 640, 768 … */
  static long sizeClass(long bytes) {
    long wanted = Math.max(bytes, ALIGNMENT);
    long step = Math.max(ALIGNMENT, Long.highestOneBit(wanted - 1) / 4);
    return (wanted + step - 1) / step * step;
  }

  private long fresh(long capacity) {
    boolean huge = capacity >= 2 * HUGE;
    long rounded = huge ? (capacity + HUGE - 1) / HUGE * HUGE : capacity;
    try {
      long address = (long) ALLOCATE.invokeExact(huge ? HUGE : (long) ALIGNMENT, rounded);
      if (address == 0) {
        throw new BackendException(
            "out of memory: wanted %,d bytes beside %,d live ones; use a smaller batch, --checkpointing or --dtype bf16"
                .formatted(capacity, liveBytes));
      }
      if (huge) {
        // Advice: without huge pages the memory works as well, only slower.
        int ignored = (int) ADVISE.invokeExact(address, rounded, MADV_HUGEPAGE);
      }
      return address;
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  private static void release(long address) {
    try {
      FREE.invokeExact(address);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  private static MethodHandle libc(String name, FunctionDescriptor signature) {
    Linker linker = Linker.nativeLinker();
    return linker.downcallHandle(linker.defaultLookup().findOrThrow(name), signature);
  }
}
