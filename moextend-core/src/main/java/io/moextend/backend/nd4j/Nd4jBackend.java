package io.moextend.backend.nd4j;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.array.ShapeException;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider;
import java.lang.foreign.MemorySegment;
import java.util.Set;
import org.nd4j.linalg.factory.Nd4j;

/**
 * The kernels as plain array operations of ND4J 1.0.0-M2.1, on the CPU or, with the profile
 * nd4j-cuda, on a card. Computes in F32 and F64; in F64 it is the oracle of the other backends.
 * BF16 and F16 arrays can be held, moved and cast, and that is all: ND4J's own product of BFLOAT16
 * sums in BFLOAT16 and is off by 7.6 % at a depth of 512.
 *
 * <p>Bookkeeping with few integers (row numbers, targets, the experts' offsets) is done on the
 * host, which therefore waits for the device in every kernel that takes or makes such numbers.
 *
 * <p>ND4J keeps its settings in static fields, so the number of threads is the process': the
 * backend opened last decides.
 */
final class Nd4jBackend
    implements Backend,
        Nd4jMatrixKernels,
        Nd4jNormKernels,
        Nd4jElementKernels,
        Nd4jRowKernels,
        Nd4jAttentionKernels,
        Nd4jRoutingKernels,
        Nd4jLossKernels,
        Nd4jUpdateKernels,
        Nd4jAdafactorKernels,
        Nd4jAdapterKernels {
  private final Nd4jMemory memory = new Nd4jMemory();
  private final String device;

  @MustBeClosed
  Nd4jBackend(BackendProvider.Options options) {
    if (Nd4j.getEnvironment().isCPU()) {
      // OpenBLAS does not ask libnd4j for its limit: both have to be told
      Nd4j.factory().blas().setMaxThreads(options.threads());
      Nd4j.getEnvironment().setMaxThreads(options.threads());
      Nd4j.getEnvironment().setMaxMasterThreads(options.threads());
      device =
          "ND4J on the CPU, %s, %d threads"
              .formatted(Nd4j.factory().blas().getBlasVendor(), options.threads());
    } else {
      Nd4j.getAffinityManager().unsafeSetDevice(options.device());
      device = "ND4J on CUDA device " + options.device();
    }
  }

  @Override
  public String name() {
    return Nd4jBackendProvider.NAME;
  }

  @Override
  public String device() {
    return device;
  }

  @Override
  public Set<DType> computeTypes() {
    return Set.of(DType.F32, DType.F64);
  }

  @Override
  public Nd4jMemory memory() {
    return memory;
  }

  @Override
  public void copyIn(Array to, MemorySegment from) {
    HostCopy.in(to, from);
  }

  @Override
  public void copyOut(Array from, MemorySegment to) {
    HostCopy.out(from, to);
  }

  /** Read in place on the CPU, where aligned to its element size; the memory has to outlive it. */
  @Override
  public Array wrap(Arena arena, DType dtype, MemorySegment memory, long... shape) {
    long bytes = Math.multiplyExact(Array.sizeOf(shape), (long) dtype.bytes());
    if (memory.byteSize() != bytes) {
      throw new ShapeException(
          "%d bytes of memory for an array of %d".formatted(memory.byteSize(), bytes));
    }
    if (ForeignMemory.readable(dtype, memory)) {
      return ForeignMemory.show(dtype, memory, shape);
    }
    Array copy = arena.allocate(dtype, shape);
    copyIn(copy, memory);
    return copy;
  }

  @Override
  public void synchronize() {
    Nd4j.getExecutioner().commit();
  }

  /** ND4J itself stays: it is the process'. Arrays are freed by their arenas. */
  @Override
  public void close() {
    synchronize();
  }
}
