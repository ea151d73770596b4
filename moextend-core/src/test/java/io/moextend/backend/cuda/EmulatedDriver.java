package io.moextend.backend.cuda;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import io.moextend.backend.BackendException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * A card in this process' memory: kernels run in the emulator when they are launched, so that
 * streams and events have nothing to do. What is allocated is filled with ones, NaN in every
 * floating type, so that a kernel that reads what nobody wrote is found out.
 */
final class EmulatedDriver implements Driver {
  private static final MemorySegment ALL = MemorySegment.NULL.reinterpret(Long.MAX_VALUE);

  private final long limit;
  private final boolean multiplies;
  private final MethodHandle has;
  private final MethodHandle launch;
  private final MethodHandle problem;
  private final Arena arena = Arena.ofShared();
  private final Map<Long, Arena> blocks = new HashMap<>();
  private final Map<Long, Long> sizes = new HashMap<>();
  private final List<MemorySegment> functions = new ArrayList<>();
  private long used;
  private int live;

  /**
   * @param limit bytes the card has
   * @param multiplies false where the library of products has no way for anything
   */
  EmulatedDriver(Path library, long limit, boolean multiplies) {
    this.limit = limit;
    this.multiplies = multiplies;
    SymbolLookup symbols = SymbolLookup.libraryLookup(library, Arena.global());
    has = function(symbols, "emulator_has", JAVA_INT, ADDRESS);
    launch =
        function(
            symbols,
            "emulator_launch",
            JAVA_INT,
            ADDRESS,
            JAVA_INT,
            JAVA_INT,
            JAVA_INT,
            JAVA_INT,
            JAVA_INT,
            JAVA_INT,
            JAVA_INT,
            ADDRESS);
    problem = function(symbols, "emulator_problem", ADDRESS);
  }

  private static MethodHandle function(
      SymbolLookup symbols, String name, MemoryLayout result, MemoryLayout... arguments) {
    return Linker.nativeLinker()
        .downcallHandle(symbols.find(name).orElseThrow(), FunctionDescriptor.of(result, arguments));
  }

  @Override
  public Card card() {
    return new Card(EmulatedCuda.DEVICE, 80, 1, limit, "g++");
  }

  @Override
  public void makeCurrent() {}

  @Override
  public synchronized long freeBytes() {
    return limit - used;
  }

  @Override
  public synchronized long allocate(long bytes) {
    if (used + bytes > limit) {
      return 0;
    }
    Arena own = Arena.ofShared();
    MemorySegment memory = own.allocate(bytes, 256).fill((byte) -1);
    blocks.put(memory.address(), own);
    sizes.put(memory.address(), bytes);
    used += bytes;
    return memory.address();
  }

  @Override
  public synchronized void free(long address) {
    Arena own = blocks.remove(address);
    if (own == null) {
      throw new IllegalStateException("address %x is not allocated".formatted(address));
    }
    used -= sizes.remove(address);
    own.close();
  }

  /** What the driver gave out and did not get back: memory, streams, events, modules. */
  synchronized int live() {
    return live + blocks.size();
  }

  @Override
  public MemorySegment pin(long bytes) {
    return ALL.asSlice(allocate(bytes), bytes);
  }

  @Override
  public void unpin(MemorySegment memory) {
    free(memory.address());
  }

  @Override
  public synchronized long stream() {
    live++;
    return 1;
  }

  @Override
  public synchronized void destroyStream(long stream) {
    live--;
  }

  @Override
  public void synchronize(long stream) {}

  @Override
  public boolean isDone(long stream) {
    return true;
  }

  @Override
  public synchronized long event() {
    live++;
    return 1;
  }

  @Override
  public synchronized void destroyEvent(long event) {
    live--;
  }

  @Override
  public void record(long event, long stream) {}

  @Override
  public void await(long stream, long event) {}

  @Override
  public void waitFor(long event) {}

  @Override
  public void copy(long to, long from, long bytes, long stream) {
    MemorySegment.copy(ALL, from, ALL, to, bytes);
  }

  @Override
  public void fill(long to, byte value, long bytes, long stream) {
    ALL.asSlice(to, bytes).fill(value);
  }

  @Override
  public synchronized Module load(String name, String source) {
    live++;
    return new Module() {
      @Override
      public long function(String function, int shared) {
        return known(function);
      }

      @Override
      public void close() {
        live--;
      }
    };
  }

  private synchronized long known(String function) {
    MemorySegment name = arena.allocateFrom(function);
    try {
      if ((int) has.invokeExact(name) == 0) {
        return 0;
      }
    } catch (Throwable e) {
      throw new AssertionError(e);
    }
    functions.add(name);
    return functions.size();
  }

  @Override
  public void launch(long function, Grid grid, long stream, MemorySegment parameters) {
    MemorySegment name = functions.get((int) function - 1);
    try {
      int result =
          (int)
              launch.invokeExact(
                  name,
                  grid.x(),
                  grid.y(),
                  grid.z(),
                  grid.block(),
                  1,
                  1,
                  grid.shared(),
                  parameters);
      if (result != 0) {
        var text = (MemorySegment) problem.invokeExact();
        throw new BackendException(
            "%s with %s: %s"
                .formatted(name.getString(0), grid, text.reinterpret(4096).getString(0)));
      }
    } catch (BackendException e) {
      throw e;
    } catch (Throwable e) {
      throw new AssertionError(e);
    }
  }

  @Override
  public Blas blas(long stream) {
    return multiplies ? new LoopBlas() : new NoBlas();
  }

  @Override
  public void close() {
    arena.close();
  }

  /** A library that has no way for any product. */
  private static final class NoBlas implements Blas {
    @Override
    public boolean multiply(Gemm gemm, long a, long b, long c, long bias) {
      return false;
    }

    @Override
    public void close() {}
  }
}
