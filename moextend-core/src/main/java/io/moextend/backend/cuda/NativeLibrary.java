package io.moextend.backend.cuda;

import io.moextend.backend.BackendException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodType;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * C functions of a shared library that take numbers and addresses and return an int. Never
 * unloaded: such libraries keep state of threads behind our back.
 */
final class NativeLibrary {
  private final String name;
  private final SymbolLookup symbols;
  private final Linker linker = Linker.nativeLinker();
  private final Map<String, MethodHandle> functions = new ConcurrentHashMap<>();

  /**
   * @param name a path, or a name that the system's loader looks for
   */
  NativeLibrary(String name) {
    this.name = name;
    this.symbols = load(name);
  }

  /** Loads a library for good, for itself or for one that asks for it by its name. */
  static SymbolLookup load(String name) {
    try {
      return SymbolLookup.libraryLookup(name, Arena.global());
    } catch (IllegalArgumentException e) {
      throw new BackendException(
          "%s could not be loaded (%s); is it whole, and of this machine's kind?"
              .formatted(name, e.getMessage()),
          e);
    }
  }

  /** Whether the system's loader finds a library of this name. */
  static boolean isOnLoadersPath(String name) {
    try (Arena arena = Arena.ofConfined()) {
      SymbolLookup.libraryLookup(name, arena);
      return true;
    } catch (IllegalArgumentException e) {
      return false;
    }
  }

  String name() {
    return name;
  }

  /** A function for calls that have to be fast. */
  MethodHandle function(String function, MemoryLayout... parameters) {
    return handle(function, FunctionDescriptor.of(ValueLayout.JAVA_INT, parameters));
  }

  private MethodHandle handle(String function, FunctionDescriptor type) {
    var symbol =
        symbols
            .find(function)
            .orElseThrow(
                () ->
                    new BackendException(
                        "%s has no function %s; a version of CUDA 12 or 13 is needed"
                            .formatted(name, function)));
    return linker.downcallHandle(symbol, type);
  }

  /**
   * Calls a function; it has to be called with the same types of arguments every time.
   *
   * @param arguments Integer, Long (size_t, addresses) or Byte
   */
  int call(String function, Object... arguments) {
    MethodHandle handle = functions.computeIfAbsent(function, f -> spread(f, arguments));
    try {
      return (int) handle.invokeExact(arguments);
    } catch (Throwable e) {
      throw new IllegalStateException(function + " of " + name + " could not be called", e);
    }
  }

  private MethodHandle spread(String function, Object[] arguments) {
    var layouts = new MemoryLayout[arguments.length];
    for (int i = 0; i < layouts.length; i++) {
      layouts[i] =
          switch (arguments[i]) {
            case Integer unused -> ValueLayout.JAVA_INT;
            case Long unused -> ValueLayout.JAVA_LONG;
            case Byte unused -> ValueLayout.JAVA_BYTE;
            default -> throw new IllegalArgumentException(function + " with " + arguments[i]);
          };
    }
    return function(function, layouts)
        .asSpreader(Object[].class, layouts.length)
        .asType(MethodType.methodType(int.class, Object[].class));
  }
}
