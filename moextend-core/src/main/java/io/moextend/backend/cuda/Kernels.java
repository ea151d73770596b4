package io.moextend.backend.cuda;

import io.moextend.backend.BackendException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.Map;

/** Compiled kernels by name; a source is compiled when its first kernel is asked for. */
final class Kernels implements AutoCloseable {
  static final int MOST_ARGUMENTS = 32;

  private final Driver driver;
  private final long stream;
  private final Map<Source, Driver.Module> modules = new EnumMap<>(Source.class);
  private final Map<String, Long> functions = new HashMap<>();
  private final Arena arena = Arena.ofShared();
  private final MemorySegment values;
  private final MemorySegment pointers;

  Kernels(Driver driver, long stream) {
    this.driver = driver;
    this.stream = stream;
    values = arena.allocate(ValueLayout.JAVA_LONG, MOST_ARGUMENTS);
    pointers = arena.allocate(ValueLayout.JAVA_LONG, MOST_ARGUMENTS);
    for (int i = 0; i < MOST_ARGUMENTS; i++) {
      pointers.setAtIndex(ValueLayout.JAVA_LONG, i, values.address() + 8L * i);
    }
  }

  Launch launch(Source source, String name) {
    return new Launch(this, source, name);
  }

  synchronized void run(Source source, String name, Grid grid, long[] arguments, int count) {
    long function = function(source, name, grid.shared());
    if (function == 0) {
      throw new BackendException(
          "%s has no kernel %s; this type is not computed on the card"
              .formatted(source.file(), name));
    }
    MemorySegment.copy(arguments, 0, values, ValueLayout.JAVA_LONG, 0, count);
    try {
      driver.launch(function, grid, stream, pointers);
    } catch (BackendException e) {
      throw new BackendException("kernel %s: %s".formatted(name, e.getMessage()), e);
    }
  }

  private long function(Source source, String name, int shared) {
    String key = shared <= 48 << 10 ? name : name + "@" + shared;
    Long known = functions.get(key);
    if (known != null) {
      return known;
    }
    Driver.Module module = modules.get(source);
    if (module == null) {
      module = driver.load(source.file(), source.text());
      modules.put(source, module);
    }
    long found = module.function(name, shared);
    functions.put(key, found);
    return found;
  }

  @Override
  public synchronized void close() {
    modules.values().forEach(Driver.Module::close);
    modules.clear();
    arena.close();
  }
}
