package io.moextend.backend.cuda;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.moextend.backend.BackendException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/** A card through NVIDIA's driver, in its primary context, which other libraries share. */
final class NvidiaDriver implements Driver {
  private static final int OWN_STREAM = 1; // does not wait for the default stream
  private static final int UNTIMED = 2;
  private static final int SEEN_BY_ALL = 1 | 2; // portable, and mapped into the card's addresses
  private static final int DYNAMIC_SHARED = 8;
  private static final int USUAL_SHARED = 48 << 10;
  private static final int NOT_FOUND = 500;

  /** Makes what the card loads. */
  @FunctionalInterface
  interface Compiler {
    /** The machine code, or PTX, of a source. */
    byte[] image(String name, String source);
  }

  private final DriverApi api;
  private final Compiler compiler;
  private final NativeLibrary products;
  private final Card card;
  private final int device;
  private final long context;
  private final MethodHandle launch;
  private final MethodHandle current;

  /**
   * @param index of the card
   * @param versions in words
   */
  NvidiaDriver(
      DriverApi api, int index, Compiler compiler, NativeLibrary products, String versions) {
    this.api = api;
    this.compiler = compiler;
    this.products = products;
    device = api.device(index);
    card =
        new Card(
            api.name(device),
            api.architecture(device),
            api.processors(device),
            api.memory(device),
            versions);
    context =
        api.result(
            "cuDevicePrimaryCtxRetain", at -> api.call("cuDevicePrimaryCtxRetain", at, device));
    launch =
        api.library()
            .function(
                "cuLaunchKernel",
                JAVA_LONG,
                JAVA_INT,
                JAVA_INT,
                JAVA_INT,
                JAVA_INT,
                JAVA_INT,
                JAVA_INT,
                JAVA_INT,
                JAVA_LONG,
                JAVA_LONG,
                JAVA_LONG);
    current = api.library().function("cuCtxSetCurrent", JAVA_LONG);
  }

  @Override
  public Card card() {
    return card;
  }

  @Override
  public void makeCurrent() {
    int result;
    try {
      result = (int) current.invokeExact(context);
    } catch (Throwable e) {
      throw new IllegalStateException("cuCtxSetCurrent could not be called", e);
    }
    api.check("cuCtxSetCurrent", result);
  }

  private void run(String function, Object... arguments) {
    makeCurrent();
    api.run(function, arguments);
  }

  @Override
  public long freeBytes() {
    makeCurrent();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment sizes = arena.allocate(JAVA_LONG, 2);
      api.run("cuMemGetInfo_v2", sizes.address(), sizes.address() + 8);
      return sizes.get(JAVA_LONG, 0);
    }
  }

  @Override
  public long allocate(long bytes) {
    makeCurrent();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment at = arena.allocate(JAVA_LONG);
      int result = api.call("cuMemAlloc_v2", at.address(), bytes);
      if (result == DriverApi.OUT_OF_MEMORY) {
        return 0;
      }
      api.check("cuMemAlloc", result);
      return at.get(JAVA_LONG, 0);
    }
  }

  @Override
  public void free(long address) {
    run("cuMemFree_v2", address);
  }

  @Override
  public MemorySegment pin(long bytes) {
    makeCurrent();
    long address =
        api.result("cuMemHostAlloc", at -> api.call("cuMemHostAlloc", at, bytes, SEEN_BY_ALL));
    return MemorySegment.ofAddress(address).reinterpret(bytes);
  }

  @Override
  public void unpin(MemorySegment memory) {
    run("cuMemFreeHost", memory.address());
  }

  @Override
  public long stream() {
    makeCurrent();
    return api.result("cuStreamCreate", at -> api.call("cuStreamCreate", at, OWN_STREAM));
  }

  @Override
  public void destroyStream(long stream) {
    run("cuStreamDestroy_v2", stream);
  }

  @Override
  public void synchronize(long stream) {
    run("cuStreamSynchronize", stream);
  }

  @Override
  public boolean isDone(long stream) {
    makeCurrent();
    int result = api.call("cuStreamQuery", stream);
    if (result != DriverApi.NOT_READY) {
      api.check("cuStreamQuery", result);
    }
    return result == 0;
  }

  @Override
  public long event() {
    makeCurrent();
    return api.result("cuEventCreate", at -> api.call("cuEventCreate", at, UNTIMED));
  }

  @Override
  public void destroyEvent(long event) {
    run("cuEventDestroy_v2", event);
  }

  @Override
  public void record(long event, long stream) {
    run("cuEventRecord", event, stream);
  }

  @Override
  public void await(long stream, long event) {
    run("cuStreamWaitEvent", stream, event, 0);
  }

  @Override
  public void waitFor(long event) {
    run("cuEventSynchronize", event);
  }

  @Override
  public void copy(long to, long from, long bytes, long stream) {
    run("cuMemcpyAsync", to, from, bytes, stream);
  }

  @Override
  public void fill(long to, byte value, long bytes, long stream) {
    run("cuMemsetD8Async", to, value, bytes, stream);
  }

  @Override
  public Module load(String name, String source) {
    byte[] image = compiler.image(name, source);
    makeCurrent();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment bytes = arena.allocate(image.length + 1L, 64);
      MemorySegment.copy(MemorySegment.ofArray(image), 0, bytes, 0, image.length);
      long module =
          api.result(
              "cuModuleLoadData of " + name,
              at -> api.call("cuModuleLoadData", at, bytes.address()));
      return new Loaded(module);
    }
  }

  private final class Loaded implements Module {
    private final long module;

    Loaded(long module) {
      this.module = module;
    }

    @Override
    public long function(String name, int shared) {
      makeCurrent();
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment at = arena.allocate(JAVA_LONG);
        MemorySegment text = arena.allocateFrom(name);
        int result = api.call("cuModuleGetFunction", at.address(), module, text.address());
        if (result == NOT_FOUND) {
          return 0;
        }
        api.check("cuModuleGetFunction of " + name, result);
        long function = at.get(JAVA_LONG, 0);
        if (shared > USUAL_SHARED) {
          api.run("cuFuncSetAttribute", function, DYNAMIC_SHARED, shared);
        }
        return function;
      }
    }

    @Override
    public void close() {
      run("cuModuleUnload", module);
    }
  }

  @Override
  public void launch(long function, Grid grid, long stream, MemorySegment parameters) {
    makeCurrent();
    int result;
    try {
      result =
          (int)
              launch.invokeExact(
                  function,
                  grid.x(),
                  grid.y(),
                  grid.z(),
                  grid.block(),
                  1,
                  1,
                  grid.shared(),
                  stream,
                  parameters.address(),
                  0L);
    } catch (Throwable e) {
      throw new BackendException("cuLaunchKernel could not be called", e);
    }
    api.check("cuLaunchKernel " + grid, result);
  }

  @Override
  public Blas blas(long stream) {
    makeCurrent();
    return new LtBlas(new CublasLt(products), this, stream);
  }

  @Override
  public void close() {
    api.run("cuDevicePrimaryCtxRelease_v2", device);
  }
}
