package io.moextend.backend.cuda;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Products through cuBLASLt. Row-major matrices are the library's column-major ones transposed, so
 * it is asked for Cᵀ = Bᵀ Aᵀ. Which algorithm does a shape is asked once and kept, so that the same
 * shape is done in the same way.
 */
final class LtBlas implements Blas {
  private static final int KEPT = 4096;
  private static final long WORKSPACE = 32L << 20;
  private static final long MOST_ALIGNED = 256;

  /** Words of an algorithm's description. */
  private static final int ALGORITHM = 8;

  /** A shape, and how the three matrices are aligned. */
  private record Key(Gemm gemm, long a, long b, long c) {}

  /** How a shape is done; handles of the library, and the algorithm as it describes it. */
  private record Plan(long operation, long a, long b, long c, long[] algorithm) {}

  private final CublasLt library;
  private final Driver driver;
  private final long stream;
  private final long handle;
  private final long workspace;
  private final Arena arena = Arena.ofShared();
  private final MemorySegment one = arena.allocateFrom(JAVA_FLOAT, 1);
  private final MemorySegment zero = arena.allocateFrom(JAVA_FLOAT, 0);
  private final MemorySegment algorithm = arena.allocate(CublasLt.RESULT_BYTES, 8);
  private final Map<Key, @Nullable Plan> plans = new LinkedHashMap<>(64, 0.75f, true);

  LtBlas(CublasLt library, Driver driver, long stream) {
    this.library = library;
    this.driver = driver;
    this.stream = stream;
    handle = library.create();
    workspace = driver.allocate(WORKSPACE);
  }

  private long workspaceBytes() {
    return workspace == 0 ? 0 : WORKSPACE;
  }

  @Override
  public synchronized boolean multiply(Gemm gemm, long a, long b, long c, long bias) {
    driver.makeCurrent();
    var key = new Key(gemm, aligned(a), aligned(b), aligned(c));
    if (!plans.containsKey(key)) {
      plans.put(key, plan(key, bias));
      forgetOldest();
    }
    Plan plan = plans.get(key);
    if (plan == null) {
      return false;
    }
    if (gemm.biased()) {
      library.setOperation(plan.operation, CublasLt.BIAS_POINTER, bias);
    }
    MemorySegment.copy(plan.algorithm, 0, algorithm, JAVA_LONG, 0, ALGORITHM);
    library.multiply(
        handle,
        plan.operation,
        one.address(),
        b,
        plan.b,
        a,
        plan.a,
        (gemm.accumulate() ? one : zero).address(),
        c,
        plan.c,
        algorithm.address(),
        workspace,
        workspaceBytes(),
        stream);
    return true;
  }

  private static long aligned(long address) {
    return Math.min(MOST_ALIGNED, Long.lowestOneBit(address));
  }

  private void forgetOldest() {
    if (plans.size() > KEPT) {
      Key oldest = plans.keySet().iterator().next();
      Plan plan = plans.remove(oldest);
      if (plan != null) {
        destroy(plan);
      }
    }
  }

  private @Nullable Plan plan(Key key, long bias) {
    Gemm g = key.gemm;
    long operation = library.operation();
    library.setOperation(operation, CublasLt.TRANSPOSE_A, g.bTransposed() ? 1 : 0);
    library.setOperation(operation, CublasLt.TRANSPOSE_B, g.aTransposed() ? 1 : 0);
    if (g.biased()) {
      library.setOperation(operation, CublasLt.EPILOGUE, CublasLt.BIAS_EPILOGUE);
      library.setOperation(operation, CublasLt.BIAS_POINTER, bias);
    }
    var plan =
        new Plan(
            operation,
            g.aTransposed()
                ? library.layout(g.type(), g.m(), g.k(), g.lda())
                : library.layout(g.type(), g.k(), g.m(), g.lda()),
            g.bTransposed()
                ? library.layout(g.type(), g.k(), g.n(), g.ldb())
                : library.layout(g.type(), g.n(), g.k(), g.ldb()),
            library.layout(g.result(), g.n(), g.m(), g.ldc()),
            new long[ALGORITHM]);
    if (found(key, plan)) {
      return plan;
    }
    destroy(plan);
    return null;
  }

  private boolean found(Key key, Plan plan) {
    long preference = library.preference();
    try {
      library.setPreference(preference, CublasLt.WORKSPACE, workspaceBytes());
      library.setPreference(preference, CublasLt.REDUCTIONS, CublasLt.ORDERED_REDUCTIONS);
      library.setPreference(preference, CublasLt.ALIGNMENT_A, (int) key.b);
      library.setPreference(preference, CublasLt.ALIGNMENT_B, (int) key.a);
      library.setPreference(preference, CublasLt.ALIGNMENT_C, (int) key.c);
      library.setPreference(preference, CublasLt.ALIGNMENT_D, (int) key.c);
      boolean found =
          library.heuristic(handle, plan.operation, plan.b, plan.a, plan.c, preference, algorithm);
      MemorySegment.copy(algorithm, JAVA_LONG, 0, plan.algorithm, 0, ALGORITHM);
      return found;
    } finally {
      library.destroy("cublasLtMatmulPreferenceDestroy", preference);
    }
  }

  private void destroy(Plan plan) {
    library.destroy("cublasLtMatmulDescDestroy", plan.operation);
    library.destroy("cublasLtMatrixLayoutDestroy", plan.a);
    library.destroy("cublasLtMatrixLayoutDestroy", plan.b);
    library.destroy("cublasLtMatrixLayoutDestroy", plan.c);
  }

  @Override
  public synchronized void close() {
    driver.makeCurrent();
    for (Plan plan : plans.values()) {
      if (plan != null) {
        destroy(plan);
      }
    }
    plans.clear();
    if (workspace != 0) {
      driver.free(workspace);
    }
    library.destroy("cublasLtDestroy", handle);
    arena.close();
  }
}
