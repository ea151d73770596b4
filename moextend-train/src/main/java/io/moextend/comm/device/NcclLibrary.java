package io.moextend.comm.device;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.moextend.array.DType;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;

/**
 * The C functions of NCCL 2 that a wire needs (nccl.h). Communicators, streams and device memory
 * are addresses. What NCCL says went wrong is thrown.
 */
final class NcclLibrary {
  /** Of an ncclUniqueId, which is handed over by value. */
  static final int ID_BYTES = 128;

  private static final MemoryLayout ID = MemoryLayout.structLayout(array(ID_BYTES));
  private static final int SUCCESS = 0;
  private static final int IN_PROGRESS = 7;
  private static final int SUM = 0;
  private static final int LONGEST_TEXT = 4096;

  private final String name;
  private final SymbolLookup symbols;
  private final Linker linker = Linker.nativeLinker();
  private final MethodHandle getVersion;
  private final MethodHandle getUniqueId;
  private final MethodHandle initRank;
  private final MethodHandle destroy;
  private final MethodHandle abort;
  private final MethodHandle asyncError;
  private final MethodHandle errorString;
  private final MethodHandle lastError;
  private final MethodHandle allReduce;
  private final MethodHandle reduceScatter;
  private final MethodHandle allGather;
  private final MethodHandle broadcast;

  /**
   * @param name a file, or a name that the system's loader finds
   * @throws NcclException where it does not load, or is no NCCL 2
   */
  NcclLibrary(String name) {
    this.name = name;
    try {
      // Never unloaded: it has threads of its own.
      symbols = SymbolLookup.libraryLookup(name, Arena.global());
    } catch (IllegalArgumentException e) {
      throw new NcclException("%s could not be loaded (%s)".formatted(name, e.getMessage()), e);
    }
    getVersion = function("ncclGetVersion", ADDRESS);
    getUniqueId = function("ncclGetUniqueId", ADDRESS);
    initRank = function("ncclCommInitRank", ADDRESS, JAVA_INT, ID, JAVA_INT);
    destroy = function("ncclCommDestroy", JAVA_LONG);
    abort = function("ncclCommAbort", JAVA_LONG);
    asyncError = function("ncclCommGetAsyncError", JAVA_LONG, ADDRESS);
    errorString = text("ncclGetErrorString", JAVA_INT);
    lastError = text("ncclGetLastError", JAVA_LONG);
    MemoryLayout[] moved = {JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_LONG, JAVA_LONG};
    MemoryLayout[] chosen = {
      JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_LONG, JAVA_LONG
    };
    allReduce = function("ncclAllReduce", chosen);
    reduceScatter = function("ncclReduceScatter", chosen);
    allGather = function("ncclAllGather", moved);
    broadcast = function("ncclBroadcast", chosen);
  }

  private static MemoryLayout array(int bytes) {
    return MemoryLayout.sequenceLayout(bytes, JAVA_BYTE);
  }

  private MethodHandle function(String function, MemoryLayout... parameters) {
    return linker.downcallHandle(symbol(function), FunctionDescriptor.of(JAVA_INT, parameters));
  }

  private MethodHandle text(String function, MemoryLayout parameter) {
    return linker.downcallHandle(symbol(function), FunctionDescriptor.of(ADDRESS, parameter));
  }

  private MemorySegment symbol(String function) {
    return symbols
        .find(function)
        .orElseThrow(
            () ->
                new NcclException(
                    "%s has no function %s; NCCL 2.13 or later is needed"
                        .formatted(name, function)));
  }

  /** As 22703 for 2.27.3. */
  int version() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment version = arena.allocate(JAVA_INT);
      check("ncclGetVersion", 0, () -> (int) getVersion.invokeExact(version));
      return version.get(JAVA_INT, 0);
    }
  }

  /** What the ranks of a new group have to know; made by one of them. */
  byte[] uniqueId() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment id = arena.allocate(ID);
      check("ncclGetUniqueId", 0, () -> (int) getUniqueId.invokeExact(id));
      return id.toArray(JAVA_BYTE);
    }
  }

  /**
   * Waits for the other ranks, each of which has made another card its thread's own.
   *
   * @return the communicator
   */
  long init(byte[] uniqueId, int world, int rank) {
    if (uniqueId.length != ID_BYTES) {
      throw new IllegalArgumentException("an id of " + uniqueId.length + " bytes");
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment made = arena.allocate(JAVA_LONG);
      MemorySegment id = arena.allocate(ID).copyFrom(MemorySegment.ofArray(uniqueId));
      check("ncclCommInitRank", 0, () -> (int) initRank.invokeExact(made, world, id, rank));
      return made.get(JAVA_LONG, 0);
    }
  }

  void destroy(long communicator) {
    check("ncclCommDestroy", communicator, () -> (int) destroy.invokeExact(communicator));
  }

  /** Ends what is under way, on this rank alone. */
  void abort(long communicator) {
    check("ncclCommAbort", 0, () -> (int) abort.invokeExact(communicator));
  }

  /**
   * @throws NcclException where a call that had begun failed
   */
  void requireSound(long communicator) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment state = arena.allocate(JAVA_INT);
      check(
          "ncclCommGetAsyncError",
          communicator,
          () -> (int) asyncError.invokeExact(communicator, state));
      check("a call under way", communicator, () -> state.get(JAVA_INT, 0));
    }
  }

  void allReduce(long in, long out, long count, DType type, long communicator, long stream) {
    check(
        "ncclAllReduce",
        communicator,
        () -> (int) allReduce.invokeExact(in, out, count, code(type), SUM, communicator, stream));
  }

  /**
   * @param count of each rank's part
   */
  void reduceScatter(long in, long out, long count, DType type, long communicator, long stream) {
    check(
        "ncclReduceScatter",
        communicator,
        () ->
            (int) reduceScatter.invokeExact(in, out, count, code(type), SUM, communicator, stream));
  }

  /**
   * @param count of each rank's part
   */
  void allGather(long in, long out, long count, DType type, long communicator, long stream) {
    check(
        "ncclAllGather",
        communicator,
        () -> (int) allGather.invokeExact(in, out, count, code(type), communicator, stream));
  }

  void broadcast(
      long in, long out, long count, DType type, int root, long communicator, long stream) {
    check(
        "ncclBroadcast",
        communicator,
        () -> (int) broadcast.invokeExact(in, out, count, code(type), root, communicator, stream));
  }

  /** ncclDataType_t. */
  static int code(DType type) {
    return switch (type) {
      case I8 -> 0;
      case U8 -> 1;
      case I32 -> 2;
      case I64 -> 4;
      case F16 -> 6;
      case F32 -> 7;
      case F64 -> 8;
      case BF16 -> 9;
    };
  }

  private interface Call {
    int run() throws Throwable;
  }

  /**
   * @param communicator whose last error says more; 0 = NCCL's own
   */
  private void check(String what, long communicator, Call call) {
    int result;
    try {
      result = call.run();
    } catch (Throwable e) {
      throw new IllegalStateException(what + " of " + name + " could not be called", e);
    }
    if (result != SUCCESS && result != IN_PROGRESS) {
      throw new NcclException(
          "%s of %s failed with %d, %s: %s"
              .formatted(
                  what,
                  name,
                  result,
                  said(errorString, result),
                  said(lastError, communicator).strip()));
    }
  }

  private static String said(MethodHandle text, Object about) {
    try {
      var words = (MemorySegment) text.invoke(about);
      return words.address() == 0 ? "" : words.reinterpret(LONGEST_TEXT).getString(0);
    } catch (Throwable e) {
      return "no text (" + e + ")";
    }
  }
}
