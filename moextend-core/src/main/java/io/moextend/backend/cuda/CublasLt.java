package io.moextend.backend.cuda;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.moextend.array.DType;
import io.moextend.backend.BackendException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.function.ToIntFunction;

/** The C functions of cuBLASLt that products need; handles are addresses. */
final class CublasLt {
  /** Attributes of an operation. */
  static final int TRANSPOSE_A = 3;

  static final int TRANSPOSE_B = 4;
  static final int EPILOGUE = 7;
  static final int BIAS_POINTER = 8;
  static final int BIAS_EPILOGUE = 4;

  /** Attributes of a preference. */
  static final int WORKSPACE = 1;

  static final int REDUCTIONS = 3;
  static final int ALIGNMENT_A = 5;
  static final int ALIGNMENT_B = 6;
  static final int ALIGNMENT_C = 7;
  static final int ALIGNMENT_D = 8;

  /** Partial sums meet in the workspace, in one order; not in place. */
  static final int ORDERED_REDUCTIONS = 2 | 4;

  /** Bytes of a heuristic's result, which begins with the algorithm; its state is at 72. */
  static final int RESULT_BYTES = 96;

  private static final int STATE_AT = 72;
  private static final int F32 = 0;
  private static final int BF16 = 14;
  private static final int COMPUTE_F32 = 68; // without TF32

  private final NativeLibrary library;
  private final MethodHandle multiply;

  CublasLt(NativeLibrary library) {
    this.library = library;
    multiply =
        library.function(
            "cublasLtMatmul",
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG,
            JAVA_LONG);
  }

  long create() {
    return result("cublasLtCreate", at -> library.call("cublasLtCreate", at));
  }

  void destroy(String destructor, long handle) {
    check(destructor, library.call(destructor, handle));
  }

  /** A product that sums in F32. */
  long operation() {
    return result(
        "cublasLtMatmulDescCreate",
        at -> library.call("cublasLtMatmulDescCreate", at, COMPUTE_F32, F32));
  }

  /** Column-major, {@code stride} elements from column to column. */
  long layout(DType type, long rows, long columns, long stride) {
    int code = type == DType.BF16 ? BF16 : F32;
    return result(
        "cublasLtMatrixLayoutCreate",
        at -> library.call("cublasLtMatrixLayoutCreate", at, code, rows, columns, stride));
  }

  long preference() {
    return result(
        "cublasLtMatmulPreferenceCreate", at -> library.call("cublasLtMatmulPreferenceCreate", at));
  }

  void setOperation(long operation, int attribute, int value) {
    set("cublasLtMatmulDescSetAttribute", operation, attribute, value);
  }

  void setOperation(long operation, int attribute, long value) {
    set("cublasLtMatmulDescSetAttribute", operation, attribute, value);
  }

  void setPreference(long preference, int attribute, int value) {
    set("cublasLtMatmulPreferenceSetAttribute", preference, attribute, value);
  }

  void setPreference(long preference, int attribute, long value) {
    set("cublasLtMatmulPreferenceSetAttribute", preference, attribute, value);
  }

  private void set(String function, long object, int attribute, int value) {
    try (Arena arena = Arena.ofConfined()) {
      long at = arena.allocateFrom(JAVA_INT, value).address();
      check(function, library.call(function, object, attribute, at, 4L));
    }
  }

  private void set(String function, long object, int attribute, long value) {
    try (Arena arena = Arena.ofConfined()) {
      long at = arena.allocateFrom(JAVA_LONG, value).address();
      check(function, library.call(function, object, attribute, at, 8L));
    }
  }

  /**
   * The algorithm the library thinks best.
   *
   * @param result of {@link #RESULT_BYTES}, written
   * @return false where it has none
   */
  boolean heuristic(
      long handle, long operation, long a, long b, long c, long preference, MemorySegment result) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment count = arena.allocate(JAVA_INT);
      int status =
          library.call(
              "cublasLtMatmulAlgoGetHeuristic",
              handle,
              operation,
              a,
              b,
              c,
              c,
              preference,
              1,
              result.address(),
              count.address());
      return status == 0 && count.get(JAVA_INT, 0) > 0 && result.get(JAVA_INT, STATE_AT) == 0;
    }
  }

  /** D = alpha A B + beta C with D in C's place. */
  void multiply(
      long handle,
      long operation,
      long alpha,
      long a,
      long aLayout,
      long b,
      long bLayout,
      long beta,
      long c,
      long cLayout,
      long algorithm,
      long workspace,
      long workspaceBytes,
      long stream) {
    int status;
    try {
      status =
          (int)
              multiply.invokeExact(
                  handle,
                  operation,
                  alpha,
                  a,
                  aLayout,
                  b,
                  bLayout,
                  beta,
                  c,
                  cLayout,
                  c,
                  cLayout,
                  algorithm,
                  workspace,
                  workspaceBytes,
                  stream);
    } catch (Throwable e) {
      throw new BackendException("cublasLtMatmul could not be called", e);
    }
    check("cublasLtMatmul", status);
  }

  private static long result(String function, ToIntFunction<Long> call) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment at = arena.allocate(JAVA_LONG);
      check(function, call.applyAsInt(at.address()));
      return at.get(JAVA_LONG, 0);
    }
  }

  private static void check(String function, int status) {
    if (status != 0) {
      throw new BackendException(
          "cuBLASLt: %s failed with status %d (%s)"
              .formatted(
                  function,
                  status,
                  switch (status) {
                    case 1 -> "not initialized: does the driver suit the library?";
                    case 3 -> "no memory on the card";
                    case 7 -> "an invalid value";
                    case 8 -> "not for this card";
                    case 13 -> "execution failed";
                    case 15 -> "not supported";
                    default -> "see cublasStatus_t";
                  }));
    }
  }
}
