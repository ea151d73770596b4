package io.moextend.backend.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.moextend.array.DType;
import io.moextend.backend.BackendException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The C functions of oneDNN 3 that products need. Handles and pointers are addresses. Functions
 * return 0 or a status, which is thrown. Objects may be made by any thread; one primitive must not
 * run in two threads at once.
 */
final class OneDnn implements AutoCloseable {
  static final int SOURCE = 1;
  static final int RESULT = 17;
  static final int WEIGHTS = 33;
  static final int BIAS = 41;
  static final int SCRATCHPAD = 80;

  private static final int CPU = 1;
  private static final int IN_ORDER = 1;
  private static final int SCRATCHPAD_OF_USER = 1;
  private static final int QUERY_SCRATCHPAD = 136;

  private final SymbolLookup symbols;
  private final Map<List<Object>, MethodHandle> functions = new ConcurrentHashMap<>();
  private final Linker linker = Linker.nativeLinker();

  private final MethodHandle setHandle;
  private final MethodHandle execute;
  private final MethodHandle getThreads;
  private final MethodHandle setThreads;
  private final MethodHandle size;
  private final MethodHandle query;
  private final MethodHandle isa;
  private final long engine;

  OneDnn(Path library) {
    try {
      // Never unloaded: the library keeps thread-local state behind our back.
      symbols = SymbolLookup.libraryLookup(library, Arena.global());
    } catch (IllegalArgumentException e) {
      throw new BackendException(
          "%s could not be loaded (%s); it needs libstdc++.so.6 and glibc, or use --backend nd4j"
              .formatted(library, e.getMessage()),
          e);
    }
    setHandle = function("dnnl_memory_set_data_handle", JAVA_LONG, JAVA_LONG);
    execute = function("dnnl_primitive_execute", JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_LONG);
    // Through the library's own dependency, so that it is the OpenMP runtime it really uses.
    getThreads = function("omp_get_max_threads");
    setThreads =
        linker.downcallHandle(symbol("omp_set_num_threads"), FunctionDescriptor.ofVoid(JAVA_INT));
    size =
        linker.downcallHandle(
            symbol("dnnl_memory_desc_get_size"), FunctionDescriptor.of(JAVA_LONG, JAVA_LONG));
    query =
        linker.downcallHandle(
            symbol("dnnl_primitive_desc_query_md"),
            FunctionDescriptor.of(JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_INT));
    isa = function("dnnl_get_effective_cpu_isa");
    engine = make("dnnl_engine_create", CPU, 0L);
  }

  /** The instruction set oneDNN chose. */
  Isa isa() {
    return new Isa((int) invoke(isa));
  }

  /** OpenMP threads a call from this thread would use. */
  int threads() {
    try {
      return (int) getThreads.invokeExact();
    } catch (Throwable e) {
      throw failed(e);
    }
  }

  /** Sets {@link #threads} for the calling thread alone. */
  void setThreads(int threads) {
    try {
      setThreads.invokeExact(threads);
    } catch (Throwable e) {
      throw failed(e);
    }
  }

  long stream() {
    return make("dnnl_stream_create", engine, IN_ORDER);
  }

  /** A plain layout; strides in elements. */
  long layout(DType type, long rows, long columns, long rowStride, long columnStride) {
    try (Arena arena = Arena.ofConfined()) {
      long dims = arena.allocateFrom(JAVA_LONG, rows, columns).address();
      long strides = arena.allocateFrom(JAVA_LONG, rowStride, columnStride).address();
      return make("dnnl_memory_desc_create_with_strides", 2, dims, code(type), strides);
    }
  }

  /** Bytes of memory a layout takes. */
  long bytes(long layout) {
    return (long) invoke(size, layout);
  }

  /** Attributes: scratch memory is ours; the result is added to where {@code accumulate}. */
  long attributes(boolean accumulate) {
    long attributes = make("dnnl_primitive_attr_create");
    check("dnnl_primitive_attr_set_scratchpad_mode", attributes, SCRATCHPAD_OF_USER);
    if (accumulate) {
      long operations = make("dnnl_post_ops_create");
      // The sum is scale · before + product, read in the result's own type.
      check("dnnl_post_ops_append_sum", operations, 1.0f, 0, 0);
      check("dnnl_primitive_attr_set_post_ops", attributes, operations);
      destroy("dnnl_post_ops_destroy", operations);
    }
    return attributes;
  }

  /**
   * Describes a product; layouts stay the caller's.
   *
   * @param bias its layout, or 0
   */
  long matmul(long source, long weights, long bias, long result, long attributes) {
    return make(
        "dnnl_matmul_primitive_desc_create", engine, source, weights, bias, result, attributes);
  }

  /** A copy of the layout of the scratch memory a primitive wants. */
  long scratchpadOf(long description) {
    return make("dnnl_memory_desc_clone", (long) invoke(query, description, QUERY_SCRATCHPAD, 0));
  }

  long primitive(long description) {
    return make("dnnl_primitive_create", description);
  }

  /** An object that binds a layout to an address given later. */
  long memory(long layout) {
    return make("dnnl_memory_create", layout, engine, 0L);
  }

  void bind(long memory, long address) {
    try {
      require("dnnl_memory_set_data_handle", (int) setHandle.invokeExact(memory, address));
    } catch (Throwable e) {
      throw failed(e);
    }
  }

  /**
   * @param arguments of 16 bytes each: an int, padding, the address of a memory object
   */
  void execute(long primitive, long stream, int count, long arguments) {
    try {
      require(
          "dnnl_primitive_execute", (int) execute.invokeExact(primitive, stream, count, arguments));
    } catch (Throwable e) {
      throw failed(e);
    }
  }

  /** Calls one of the library's destructors. */
  void destroy(String function, long handle) {
    check(function, handle);
  }

  @Override
  public void close() {
    destroy("dnnl_engine_destroy", engine);
  }

  private static int code(DType type) {
    return switch (type) {
      case F32 -> 3;
      case BF16 -> 2;
      case F64, F16, I64, I32, I8, U8 ->
          throw new IllegalArgumentException("no products in " + type);
    };
  }

  /** Calls a function whose first parameter says where the new handle goes. */
  private long make(String name, Object... arguments) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment out = arena.allocate(JAVA_LONG);
      var all = new Object[arguments.length + 1];
      all[0] = out.address();
      System.arraycopy(arguments, 0, all, 1, arguments.length);
      check(name, all);
      return out.get(JAVA_LONG, 0);
    }
  }

  private void check(String name, Object... arguments) {
    var types = new MemoryLayout[arguments.length];
    for (int i = 0; i < types.length; i++) {
      types[i] =
          switch (arguments[i]) {
            case Long l -> JAVA_LONG;
            case Float f -> JAVA_FLOAT;
            default -> JAVA_INT;
          };
    }
    require(name, (int) invoke(function(name, types), arguments));
  }

  private MethodHandle function(String name, MemoryLayout... types) {
    return functions.computeIfAbsent(
        List.of(name, List.of(types)),
        key -> linker.downcallHandle(symbol(name), FunctionDescriptor.of(JAVA_INT, types)));
  }

  private MemorySegment symbol(String name) {
    return symbols
        .find(name)
        .orElseThrow(
            () ->
                new BackendException(
                    "the oneDNN on the class path has no %s; version 3.11 is needed"
                        .formatted(name)));
  }

  private static Object invoke(MethodHandle handle, Object... arguments) {
    try {
      return handle.invokeWithArguments(arguments);
    } catch (Throwable e) {
      throw failed(e);
    }
  }

  private static void require(String name, int status) {
    if (status != 0) {
      String reason =
          switch (status) {
            case 1 -> "out of memory";
            case 2 -> "wrong arguments";
            case 3 -> "not implemented for this CPU";
            default -> "status " + status;
          };
      throw new BackendException(name + " failed: " + reason);
    }
  }

  private static RuntimeException failed(Throwable e) {
    if (e instanceof Error error) {
      throw error;
    }
    return e instanceof RuntimeException r ? r : new IllegalStateException(e);
  }

  /** A set of instruction-set bits as oneDNN numbers them. */
  record Isa(int bits) {
    /** True where products of BF16 run on the unit itself (AVX512_BF16 or AMX). */
    boolean multipliesBf16() {
      return (bits & 0xe7) == 0xe7;
    }

    @Override
    public String toString() {
      boolean amx = (bits & 0xe00) == 0xe00;
      if (amx) {
        return "AVX-512 with AMX";
      }
      if (multipliesBf16()) {
        return "AVX-512 with bf16";
      }
      return (bits & 0x27) == 0x27 ? "AVX-512" : (bits & 0x7) == 0x7 ? "AVX2" : "SSE4.1";
    }
  }
}
