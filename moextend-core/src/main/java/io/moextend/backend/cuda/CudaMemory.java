package io.moextend.backend.cuda;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.array.Memory;
import io.moextend.backend.BackendException;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;

/** A card's memory in {@link DeviceBlocks}, with who holds how much of it. */
final class CudaMemory implements Memory, AutoCloseable {
  /** Arenas that an out-of-memory message names. */
  private static final int NAMED = 5;

  private final Driver driver;
  private final DeviceBlocks blocks;
  private final Set<CudaArray.Block> live = new HashSet<>();
  private final Set<Arena> arenas = Collections.newSetFromMap(new IdentityHashMap<>());
  private long liveBytes;
  private long peakBytes;
  private boolean closed;

  CudaMemory(Driver driver) {
    this.driver = driver;
    this.blocks = new DeviceBlocks(driver);
  }

  @Override
  public CudaArray allocate(DType dtype, long... shape) {
    return allocate(true, dtype, shape);
  }

  /** Memory that the backend keeps beyond a call; no arena's, and not among the live bytes. */
  CudaArray allocateUncounted(DType dtype, long... shape) {
    return allocate(false, dtype, shape);
  }

  private synchronized CudaArray allocate(boolean counted, DType dtype, long... shape) {
    if (closed) {
      throw new IllegalStateException("the backend is closed");
    }
    long bytes = Math.multiplyExact(Array.sizeOf(shape), dtype.bytes());
    DeviceBlocks.Range range = blocks.take(bytes);
    if (range == null) {
      throw new BackendException(outOfMemory(dtype, bytes, shape));
    }
    var block = new CudaArray.Block(range, counted);
    live.add(block);
    liveBytes += counted ? bytes : 0;
    peakBytes = Math.max(peakBytes, liveBytes);
    return new CudaArray(dtype, shape, block, range.address(), null);
  }

  @Override
  public synchronized void free(Array base) {
    if (base.base() != base || !(base instanceof CudaArray array)) {
      throw new IllegalArgumentException(base + " was not allocated here");
    }
    if (!live.remove(array.block())) {
      if (closed) {
        return; // died with the backend
      }
      throw new IllegalStateException(base + " was freed before");
    }
    array.block().kill();
    liveBytes -= array.block().isCounted() ? base.bytes() : 0;
    blocks.give(array.block().range());
  }

  private String outOfMemory(DType dtype, long bytes, long... shape) {
    String largest =
        arenas.stream()
            .filter(arena -> arena.liveBytes() > 0)
            .collect(Collectors.groupingBy(Arena::name, Collectors.summingLong(Arena::liveBytes)))
            .entrySet()
            .stream()
            .sorted(Comparator.comparingLong(e -> -e.getValue()))
            .limit(NAMED)
            .map(e -> "%s %s".formatted(e.getKey(), mib(e.getValue())))
            .collect(Collectors.joining(", "));
    return ("out of memory on %s: %s for %s%s; %s of %s live here, %s more held in pieces too small,"
            + " %s free on the card; largest: %s; use --checkpointing, a smaller batch or shorter"
            + " sequences, more ranks with ZeRO-3, or another card")
        .formatted(
            driver.card().name(),
            mib(bytes),
            dtype,
            Arrays.toString(shape),
            mib(liveBytes),
            mib(driver.card().memory()),
            mib(blocks.heldBytes() - blocks.usedBytes()),
            mib(driver.freeBytes()),
            largest.isEmpty() ? "nothing" : largest);
  }

  private static String mib(long bytes) {
    return "%,d MiB".formatted((bytes + (1 << 20) - 1) >> 20);
  }

  @Override
  public synchronized void opened(Arena arena) {
    arenas.add(arena);
  }

  @Override
  public synchronized void closed(Arena arena) {
    arenas.remove(arena);
  }

  /** Bytes taken from the driver, idle ones included. */
  synchronized long heldBytes() {
    return blocks.heldBytes();
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
  public synchronized void resetPeak() {
    peakBytes = liveBytes;
  }

  /** Arrays still alive die with their backend. */
  @Override
  public synchronized void close() {
    List.copyOf(live).forEach(CudaArray.Block::kill);
    live.clear();
    liveBytes = 0;
    blocks.close();
    closed = true;
  }
}
