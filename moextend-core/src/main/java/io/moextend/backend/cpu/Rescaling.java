package io.moextend.backend.cpu;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.AdapterKernels.RescaleGradients;

/**
 * Heads times mixtures of vectors. The vectors are kept in F32 in whole vectors and in the order in
 * which x is read.
 */
final class Rescaling implements AutoCloseable {
  /** Numbers of a head at once: a mixture's vectors of so many stay in the cache over some rows. */
  private static final int PIECE = 512;

  /** BF16 numbers that are read together. */
  private static final int PAIRS = 2 * Vectors.LANES;

  private final CpuDevice cpu;
  private final Arena arena;
  private final CpuArray x;
  private final CpuArray p;
  private final int heads;
  private final int experts;
  private final int size;
  private final int padded;
  private final CpuArray vectors;

  Rescaling(CpuDevice cpu, Arena arena, Array x, Array p, Array scaling) {
    this.cpu = cpu;
    this.arena = arena;
    this.x = CpuArray.of(x);
    this.p = CpuArray.of(p, DType.F32);
    scaling.require("scaling", -1, -1, -1);
    this.heads = CpuDevice.count(scaling.dim(0));
    this.experts = CpuDevice.count(scaling.dim(1));
    this.size = CpuDevice.count(scaling.dim(2));
    x.require("x", -1, (long) heads * size);
    p.require("p", x.dim(0) * heads, experts);
    this.padded = Floats.padded(size);
    this.vectors = ordered(CpuArray.of(scaling, x.dtype()));
  }

  private CpuArray ordered(CpuArray scaling) {
    CpuArray lines = CpuDevice.allocate(arena, DType.F32, (long) heads * experts, padded);
    float[] line = new float[padded];
    for (int i = 0; i < heads * experts; i++) {
      Floats.load(scaling, (long) i * size, size, line);
      long address = lines.address((long) i * padded);
      Floats.store(line, padded, DType.F32, address);
      if (x.dtype() == DType.BF16) {
        PairLoops.split(address, address, inPairs());
      }
    }
    return lines;
  }

  /** How many numbers of a BF16 head are read by pairs. */
  private int inPairs() {
    return size - size % PAIRS;
  }

  /** Bytes from a vector of a mixture to the next. */
  private long line() {
    return 4L * padded;
  }

  /** Where a head's vectors begin, from one of their numbers on. */
  private long first(long base, int head, int column) {
    return base + 4L * ((long) head * experts * padded + column);
  }

  private long weights(long row, int head) {
    return p.address((row * heads + head) * experts);
  }

  /** x, or something like it, times the mixtures. */
  CpuArray of(CpuArray rows) {
    CpuArray out = CpuDevice.allocate(arena, x.dtype(), x.shape());
    int width = heads * size;
    cpu.forRows(
        x.dim(0),
        (long) width * (1 + experts / 4),
        (lane, r) -> {
          for (int h = 0; h < heads; h++) {
            int n;
            for (int column = 0; column < size; column += n) {
              n = Operand.span(size - column);
              long at = (long) r * width + (long) h * size + column;
              Operand a = Operand.in(lane, 0, rows, at, n);
              Operand result = Operand.out(lane, 1, out, at, n);
              RescaleLoops.rescale(
                  a.address(),
                  weights(r, h),
                  first(vectors.address(), h, column),
                  line(),
                  experts,
                  result.address(),
                  result.width(),
                  n);
              result.finish(lane, out, at, n);
            }
          }
        });
    return out;
  }

  /** The gradients; what x gets is what {@link #of} makes of dOut. */
  RescaleGradients backward(CpuArray dOut) {
    CpuArray dP = CpuDevice.allocate(arena, DType.F32, p.shape());
    CpuArray sums =
        new RowSum(cpu, x.dim(0), heads * experts * padded)
            .run(arena, (lane, first, rows, into) -> add(lane, dOut, first, rows, dP, into));
    CpuArray dScaling = unordered(sums);
    arena.free(sums);
    return new RescaleGradients(of(dOut), dP, dScaling);
  }

  private void add(Lane lane, CpuArray dOut, long firstRow, int rows, CpuArray dP, long into) {
    dP.clear(firstRow * heads * experts, (long) rows * heads * experts);
    for (int h = 0; h < heads; h++) {
      int n;
      for (int column = 0; column < size; column += n) {
        n = Operand.span(Math.min(PIECE, size - column));
        long to = first(into, h, column);
        long from = first(vectors.address(), h, column);
        for (long row = firstRow; row < firstRow + rows; row++) {
          long at = row * heads * size + (long) h * size + column;
          Operand d = Operand.in(lane, 0, dOut, at, n);
          Operand a = Operand.in(lane, 1, x, at, n);
          Operand both = Operand.buffer(lane, 2, n);
          RescaleLoops.product(d.address(), a.address(), both.address(), a.width(), n);
          RescaleLoops.spread(both.address(), weights(row, h), to, line(), experts, n);
          for (int e = 0; e < experts; e++) {
            long share = (row * heads + h) * experts + e;
            float dot = SumLoops.dot(both.address(), from + e * line(), n);
            dP.setFloat(share, dP.floatAt(share) + dot);
          }
        }
      }
    }
  }

  private CpuArray unordered(CpuArray sums) {
    CpuArray out = CpuDevice.allocate(arena, DType.F32, heads, experts, size);
    for (long i = 0; i < (long) heads * experts; i++) {
      if (x.dtype() == DType.BF16) {
        PairLoops.join(sums.address(i * padded), sums.address(i * padded), inPairs());
      }
      CpuArray.copy(sums, i * padded, out, i * size, size);
    }
    return out;
  }

  @Override
  public void close() {
    arena.free(vectors);
  }
}
