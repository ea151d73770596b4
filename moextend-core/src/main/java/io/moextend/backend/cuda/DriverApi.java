package io.moextend.backend.cuda;

import io.moextend.backend.BackendException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.function.ToIntFunction;

/** NVIDIA's driver, as far as it can be asked without taking a card. */
final class DriverApi {
  static final String LIBRARY = "libcuda.so.1";
  static final int OUT_OF_MEMORY = 2;
  static final int NOT_READY = 600;

  private static final int NO_DEVICE = 100;
  private static final int MAJOR = 75;
  private static final int MINOR = 76;
  private static final int PROCESSORS = 16;

  private final NativeLibrary library;

  /**
   * Loads and initialises the driver; throws where there is none or it has no card.
   *
   * @param name of its library, {@link #LIBRARY} but in tests
   */
  DriverApi(String name) {
    library = new NativeLibrary(name);
    int result = call("cuInit", 0);
    if (result == NO_DEVICE) {
      throw new BackendException(
          "the NVIDIA driver finds no card here; is one given to this process"
              + " (CUDA_VISIBLE_DEVICES, the container's --gpus)?");
    }
    check("cuInit", result);
  }

  NativeLibrary library() {
    return library;
  }

  /** Calls a function that cannot fail but for a broken card. */
  void run(String function, Object... arguments) {
    check(function, call(function, arguments));
  }

  int call(String function, Object... arguments) {
    return library.call(function, arguments);
  }

  void check(String function, int result) {
    if (result != 0) {
      throw new BackendException("the card: %s failed: %s".formatted(function, text(result)));
    }
  }

  /** An error in words. */
  private String text(int result) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment at = arena.allocate(ValueLayout.ADDRESS, 2);
      boolean known =
          library.call("cuGetErrorName", result, at.address()) == 0
              && library.call("cuGetErrorString", result, at.address() + 8) == 0;
      return known ? "%s (%s)".formatted(string(at, 1), string(at, 0)) : "error " + result;
    }
  }

  private static String string(MemorySegment pointers, int i) {
    return pointers.getAtIndex(ValueLayout.ADDRESS, i).reinterpret(1024).getString(0);
  }

  /** The result that a function writes to the address it is given first. */
  long result(String function, ToIntFunction<Long> call) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment at = arena.allocate(ValueLayout.JAVA_LONG);
      check(function, call.applyAsInt(at.address()));
      return at.get(ValueLayout.JAVA_LONG, 0);
    }
  }

  /** What the driver can run: 12040 for CUDA 12.4. */
  int version() {
    return (int) result("cuDriverGetVersion", at -> call("cuDriverGetVersion", at));
  }

  int count() {
    return (int) result("cuDeviceGetCount", at -> call("cuDeviceGetCount", at));
  }

  int device(int index) {
    return (int) result("cuDeviceGet", at -> call("cuDeviceGet", at, index));
  }

  String name(int device) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment name = arena.allocate(256);
      run("cuDeviceGetName", name.address(), 256, device);
      return name.getString(0);
    }
  }

  private int attribute(int attribute, int device) {
    return (int)
        result("cuDeviceGetAttribute", at -> call("cuDeviceGetAttribute", at, attribute, device));
  }

  /** Compute capability times ten. */
  int architecture(int device) {
    return 10 * attribute(MAJOR, device) + attribute(MINOR, device);
  }

  int processors(int device) {
    return attribute(PROCESSORS, device);
  }

  long memory(int device) {
    return result("cuDeviceTotalMem_v2", at -> call("cuDeviceTotalMem_v2", at, device));
  }
}
