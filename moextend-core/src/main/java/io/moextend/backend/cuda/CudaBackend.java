package io.moextend.backend.cuda;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.array.Memory;
import io.moextend.array.ShapeException;
import io.moextend.backend.Backend;
import io.moextend.backend.Card;
import java.lang.foreign.MemorySegment;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * All kernels of a card, by theme in the interfaces it is put together from. Calls return at once
 * and are done in order; copies to the host wait.
 */
final class CudaBackend
    implements Backend,
        Card,
        CudaProducts,
        CudaNorms,
        CudaElements,
        CudaRows,
        CudaAttention,
        CudaRouting,
        CudaCrossEntropy,
        CudaLosses,
        CudaAdapters,
        CudaAdafactor,
        CudaUpdates {
  private final CudaDevice cuda;
  private final SideStream side;
  private final CudaLibraries libraries;

  @MustBeClosed
  CudaBackend(CudaDevice cuda, CudaLibraries libraries) {
    this.cuda = cuda;
    this.side = new SideStream(cuda.driver(), cuda.stream());
    this.libraries = libraries;
  }

  @Override
  public CudaDevice cuda() {
    return cuda;
  }

  @Override
  public String name() {
    return CudaBackendProvider.NAME;
  }

  @Override
  public String device() {
    Driver.Card card = cuda.driver().card();
    return "%s, compute capability %d.%d, %d multiprocessors, %,d MiB; %s"
        .formatted(
            card.name(),
            card.architecture() / 10,
            card.architecture() % 10,
            card.processors(),
            card.memory() >> 20,
            card.versions());
  }

  @Override
  public Set<DType> computeTypes() {
    return Set.of(DType.F32, DType.BF16);
  }

  @Override
  public Memory memory() {
    return cuda.memory();
  }

  @Override
  public void copyIn(Array to, MemorySegment from) {
    CudaArray array = CudaArray.of(to);
    sameBytes(array, from);
    cuda.copyIn(array, from);
  }

  @Override
  public void copyOut(Array from, MemorySegment to) {
    CudaArray array = CudaArray.of(from);
    sameBytes(array, to);
    cuda.copyOut(array, to);
  }

  private static void sameBytes(CudaArray array, MemorySegment host) {
    if (array.bytes() != host.byteSize()) {
      throw new ShapeException(
          "%s takes %d bytes, the host memory has %d"
              .formatted(array, array.bytes(), host.byteSize()));
    }
  }

  /** A copy: what is mapped goes to the card piece by piece, without a copy of all on the host. */
  @Override
  public Array wrap(Arena arena, DType dtype, MemorySegment memory, long... shape) {
    Array copy = arena.allocate(dtype, shape);
    copyIn(copy, memory);
    return copy;
  }

  @Override
  public @Nullable Array over(DType dtype, MemorySegment memory, long... shape) {
    if (memory.isReadOnly()) {
      throw new IllegalArgumentException("an array to be written over read-only memory");
    }
    return null;
  }

  @Override
  public void synchronize() {
    cuda.synchronize();
  }

  @Override
  public void makeCurrent() {
    cuda.driver().makeCurrent();
  }

  @Override
  public long address(Array array) {
    try {
      return CudaArray.of(array).address();
    } catch (IllegalStateException e) {
      throw new IllegalArgumentException(e.getMessage(), e);
    }
  }

  @Override
  public long sideStream() {
    return side.follow();
  }

  @Override
  public boolean sideStreamIsDone() {
    return side.isDone();
  }

  @Override
  public void awaitSideStream() {
    side.join();
  }

  @Override
  public Found library(String stem, int... versions) {
    return libraries.find(stem, versions);
  }

  @Override
  public void close() {
    side.close();
    cuda.close();
  }
}
