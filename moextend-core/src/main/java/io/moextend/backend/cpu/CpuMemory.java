package io.moextend.backend.cpu;

import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.array.Memory;
import io.moextend.backend.HostShare;
import java.util.HashSet;
import java.util.Set;

/**
 * Blocks in {@link Slabs}: a step's are used again by the next step, unzeroed and with their pages
 * in place, and neighbours that are idle serve a larger one. Pages held are at most a quarter, and
 * a little, more than what was in use at the peak.
 */
final class CpuMemory implements Memory, AutoCloseable {
  /** Blocks of this and more begin on pages, apart from small ones, which would split theirs. */
  private static final long LARGE = 64 << 10;

  /** Idle pages that are never worth giving back. */
  private static final long SPARE = 64L << 20;

  private final Slabs small = new Slabs(64);
  private final Slabs large = new Slabs(4096);
  private final Set<Owned> live = new HashSet<>();
  private final Set<Lent> lent = new HashSet<>();
  private long liveBytes;
  private long peakBytes;
  private long usedPeakBytes;
  private long trimmedBytes;
  private long sharedBytes;
  private boolean closed;

  /** A block of ours; written under the memory's lock, read by kernels. */
  private static final class Owned implements CpuArray.Block {
    final long address;
    volatile boolean live = true;

    Owned(long address) {
      this.address = address;
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
      var block = new Owned(take(bytes));
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
    give(block.address, base.bytes());
  }

  /** Scratch of a worker, not counted as an array's. Returned by {@link #give}. */
  synchronized long take(long bytes) {
    if (closed) {
      throw new IllegalStateException("the backend is closed");
    }
    long held = heldBytes();
    long address = slabs(bytes).take(bytes);
    usedPeakBytes = Math.max(usedPeakBytes, usedBytes());
    long bound = Math.max(usedPeakBytes + SPARE, trimmedBytes);
    if (heldBytes() > Math.max(held, bound + bound / 4)) {
      trim();
      trimmedBytes = heldBytes();
    }
    return address;
  }

  synchronized void give(long address, long bytes) {
    if (!closed) {
      slabs(bytes).give(address, bytes);
    }
  }

  private Slabs slabs(long bytes) {
    return bytes < LARGE ? small : large;
  }

  /** Gives all idle pages back to the operating system. */
  synchronized void trim() {
    small.trim();
    large.trim();
  }

  /** Bytes kept for the next allocation, to the page. */
  synchronized long idleBytes() {
    return heldBytes() - usedBytes();
  }

  private long heldBytes() {
    return small.heldBytes() + large.heldBytes();
  }

  private long usedBytes() {
    return small.usedBytes() + large.usedBytes();
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
    usedPeakBytes = usedBytes();
    trimmedBytes = 0;
  }

  /** Arrays still alive die with their backend. */
  @Override
  public synchronized void close() {
    live.forEach(block -> block.live = false);
    live.clear();
    small.close();
    large.close();
    lent.forEach(owner -> owner.block.close());
    lent.clear();
    sharedBytes = 0;
    liveBytes = 0;
    closed = true;
  }
}
