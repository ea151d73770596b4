package io.moextend.backend.cpu;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.array.Memory;
import io.moextend.array.ShapeException;
import io.moextend.backend.Backend;
import io.moextend.backend.HostShare;
import io.moextend.backend.Matrix;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** All kernels of the CPU, by theme in the interfaces it is put together from. Calls wait. */
final class CpuBackend
    implements Backend,
        CpuProducts,
        CpuNorms,
        CpuElements,
        CpuRows,
        CpuAttention,
        CpuRouting,
        CpuLosses,
        CpuUpdates,
        CpuAdafactor,
        CpuAdapters,
        CpuCopies {
  /** Bytes below which a tensor is not worth a file of its own. */
  private static final long SHARED_FROM = 64 << 10;

  /** Fewer rows go through products of their own, which are made for one row and a few. */
  private static final int SUMMED_FROM = 2;

  private final CpuDevice cpu;

  @MustBeClosed
  CpuBackend(CpuDevice cpu) {
    this.cpu = cpu;
  }

  @Override
  public CpuDevice cpu() {
    return cpu;
  }

  @Override
  public String name() {
    return "cpu";
  }

  @Override
  public String device() {
    return "oneDNN %s, %d-bit vectors, %d thread%s%s"
        .formatted(
            cpu.library().isa(),
            Floats.SPECIES.vectorBitSize(),
            cpu.workers().count(),
            cpu.workers().count() == 1 ? "" : "s",
            cpu.library().isa().multipliesBf16() ? "" : "; bf16 is multiplied in f32");
  }

  @Override
  public Set<DType> computeTypes() {
    return Set.of(DType.F32, DType.BF16);
  }

  @Override
  public Memory memory() {
    return cpu.memory();
  }

  @Override
  public void copyIn(Array to, MemorySegment from) {
    CpuArray array = CpuArray.into(to);
    sameBytes(array, from);
    MemorySegment.copy(from, 0, CpuArray.ALL, array.address(), array.bytes());
  }

  @Override
  public void copyOut(Array from, MemorySegment to) {
    CpuArray array = CpuArray.of(from);
    sameBytes(array, to);
    MemorySegment.copy(CpuArray.ALL, array.address(), to, 0, array.bytes());
  }

  @Override
  public Array wrap(Arena arena, DType dtype, MemorySegment memory, long... shape) {
    if (!memory.isNative()) {
      Array copy = arena.allocate(dtype, shape);
      copyIn(copy, memory);
      return copy;
    }
    return shown(dtype, memory, true, shape);
  }

  @Override
  public @Nullable Array over(DType dtype, MemorySegment memory, long... shape) {
    if (memory.isReadOnly()) {
      throw new IllegalArgumentException("an array to be written over read-only memory");
    }
    return memory.isNative() ? shown(dtype, memory, false, shape) : null;
  }

  private static CpuArray shown(
      DType dtype, MemorySegment memory, boolean readOnly, long... shape) {
    var block = new Foreign(memory, readOnly);
    var array = new CpuArray(dtype, shape, block, memory.address(), null);
    sameBytes(array, memory);
    return array;
  }

  @Override
  @SuppressWarnings("MustBeClosedChecker") // the block is the memory's, freed with the arena
  public Array frozenCast(Arena arena, Array from, DType dtype, String identity) {
    HostShare share = cpu.share();
    if (share == null || from.size() * dtype.bytes() < SHARED_FROM) {
      return cast(arena, from, dtype);
    }
    HostShare.Block block =
        share.block(
            "%s as %s%s".formatted(identity, dtype, Arrays.toString(from.shape())),
            from.size() * dtype.bytes(),
            to -> {
              Array cast = cast(arena, from, dtype);
              to.accept(CpuArray.ALL.asSlice(CpuArray.of(cast).address(), cast.bytes()));
              arena.free(cast);
            });
    return arena.adopt(cpu.memory().lend(block, dtype, from.shape()));
  }

  @Override
  public Array productWith(
      Arena to, Array x, Matrix w, @Nullable Array bias, List<Addend> addends) {
    PlainMatrix matrix = CpuProducts.plain(w);
    if (x.dim(0) < SUMMED_FROM) {
      return Backend.super.productWith(to, x, w, bias, addends);
    }
    CpuArray source = CpuArray.of(x, matrix.type());
    source.require("x", -1, matrix.in());
    addends.forEach(a -> ProductSum.require(a, x.dim(0), matrix.out(), matrix.type()));
    CpuArray added = bias == null ? null : CpuArray.of(bias, matrix.type());
    if (added != null) {
      added.require("bias", matrix.out());
    }
    CpuArray out = CpuDevice.allocate(to, matrix.type(), x.dim(0), matrix.out());
    new ProductSum(cpu, out).forward(source, matrix, added, addends);
    return out;
  }

  @Override
  public Array sumTransposed(Arena to, @Nullable Array first, List<Share> shares) {
    PlainMatrix any = CpuProducts.plain(shares.getFirst().w());
    long rows = shares.getFirst().dY().dim(0);
    CpuArray start = first == null ? null : CpuArray.of(first, any.type());
    if (start != null) {
      start.require("first", rows, any.in());
    }
    var terms = new ArrayList<ProductSum.Term>();
    for (Share share : shares) {
      PlainMatrix matrix = CpuProducts.plain(share.w());
      share.dY().require("dY", rows, matrix.out());
      if (matrix.in() != any.in() || matrix.type() != any.type()) {
        throw new ShapeException("a sum of products of " + any.in() + " and " + matrix.in());
      }
      terms.add(new ProductSum.Term(rounded(to, share.dY(), matrix.type()), matrix));
    }
    CpuArray out = CpuDevice.allocate(to, any.type(), rows, any.in());
    new ProductSum(cpu, out).transposed(start, terms);
    for (int i = 0; i < terms.size(); i++) {
      CpuProducts.release(to, terms.get(i).source(), shares.get(i).dY());
    }
    return out;
  }

  @Override
  public Array biasByDistance(Arena arena, Array byDistance, int queries, int keys) {
    return DistanceBias.make(cpu, arena, CpuArray.of(byDistance, DType.F32), queries, keys);
  }

  @Override
  public void synchronize() {
    // Every call has finished before it returned.
  }

  @Override
  public void close() {
    cpu.close();
  }

  /** Memory of somebody else's; the segment is kept so that it is not unmapped meanwhile. */
  private record Foreign(MemorySegment memory, boolean isReadOnly) implements CpuArray.Block {
    @Override
    public boolean isLive() {
      return memory.scope().isAlive();
    }
  }

  private static void sameBytes(CpuArray array, MemorySegment host) {
    if (array.bytes() != host.byteSize()) {
      throw new ShapeException(
          "%s takes %d bytes, the host memory has %d"
              .formatted(array, array.bytes(), host.byteSize()));
    }
  }
}
