package io.moextend.backend.cpu;

import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.array.ShapeException;
import io.moextend.backend.Matrix;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A stack of weights in the layouts oneDNN wants, cut into panels of columns so that few rows keep
 * many workers busy. A frozen one is packed at once for x Wᵀ and, if ever used so, for dY W; a
 * trainable one when used first after an update.
 */
final class PackedMatrix implements Matrix {
  private static final int PANEL = 256;

  /**
   * @param first column of the result
   * @param memory the packed weights
   */
  record Panel(int first, int columns, Gemm.Layout.Packed layout, CpuArray memory) {}

  /**
   * One of the two products.
   *
   * @param inner the sum's length
   * @param columns the result's width
   */
  record Side(int inner, int columns, List<Panel> panels) {}

  private final CpuDevice cpu;
  private final List<CpuArray> parts;
  private final boolean frozen;
  private final DType type;
  private final DType packedType;
  private final int out;
  private final int in;
  private final Side forward;
  private @Nullable Side backward;
  private boolean forwardStale = true;
  private boolean backwardStale = true;
  private boolean closed;

  PackedMatrix(CpuDevice cpu, List<Array> parts, boolean frozen) {
    this.cpu = cpu;
    this.frozen = frozen;
    List<CpuArray> read = parts.stream().map(CpuArray::of).toList();
    this.type = read.getFirst().dtype();
    this.packedType = cpu.multiplied(type);
    this.in = CpuDevice.count(read.getFirst().dim(1));
    for (CpuArray part : read) {
      part.require("a part of the matrix", -1, in);
      if (part.dtype() != type) {
        throw new ShapeException("parts of one matrix are %s and %s".formatted(type, part.dtype()));
      }
    }
    this.out = CpuDevice.count(read.stream().mapToLong(p -> p.dim(0)).sum());
    this.forward = side(in, read.stream().mapToInt(p -> CpuDevice.count(p.dim(0))).toArray());
    this.parts = frozen ? List.of() : read;
    if (frozen) {
      packForward(read);
    }
  }

  private Side side(int inner, int... widths) {
    var panels = new ArrayList<Panel>();
    int base = 0;
    for (int width : widths) {
      for (int first = 0; first < width; first += PANEL) {
        int columns = Math.min(PANEL, width - first);
        PackedLayouts.Chosen chosen = cpu.layouts().of(inner, columns, packedType);
        CpuArray memory = cpu.memory().allocate(DType.U8, chosen.bytes());
        panels.add(new Panel(base + first, columns, chosen.layout(), memory));
      }
      base += width;
    }
    return new Side(inner, base, List.copyOf(panels));
  }

  DType type() {
    return type;
  }

  @Override
  public long out() {
    return out;
  }

  @Override
  public long in() {
    return in;
  }

  /** For x Wᵀ: weights [in, out]. */
  synchronized Side forward() {
    requireOpen();
    if (forwardStale) {
      packForward(parts);
    }
    return forward;
  }

  /** For dY W: weights [out, in]. */
  synchronized Side backward() {
    requireOpen();
    if (backward == null) {
      backward = side(out, in);
    }
    if (backwardStale) {
      packBackward(backward);
    }
    return backward;
  }

  private void packForward(List<CpuArray> from) {
    CpuArray whole = stacked(from);
    try {
      var plain = new Gemm.Layout.Plain(1, in);
      cpu.workers()
          .run(
              forward.panels.size(),
              (lane, i) -> {
                Panel p = forward.panels.get(i);
                lane.gemm()
                    .copy(
                        new Gemm.Copy(in, p.columns, packedType, plain, p.layout),
                        whole.address((long) p.first * in),
                        p.memory.address());
              });
      forwardStale = false;
    } finally {
      release(whole, from);
    }
  }

  private void packBackward(Side side) {
    CpuArray whole = frozen ? unpacked() : stacked(parts);
    try {
      var plain = new Gemm.Layout.Plain(in, 1);
      cpu.workers()
          .run(
              side.panels.size(),
              (lane, i) -> {
                Panel p = side.panels.get(i);
                lane.gemm()
                    .copy(
                        new Gemm.Copy(out, p.columns, packedType, plain, p.layout),
                        whole.address(p.first),
                        p.memory.address());
              });
      backwardStale = false;
    } finally {
      release(whole, parts);
    }
  }

  /** The parts one below the other: the part itself where there is one. */
  private CpuArray stacked(List<CpuArray> from) {
    if (from.size() == 1 && type == packedType) {
      return CpuArray.of(from.getFirst());
    }
    CpuArray whole = cpu.memory().allocate(packedType, out, in);
    long row = 0;
    for (CpuArray part : from) {
      CpuArray source = CpuArray.of(part);
      long base = row * in;
      cpu.forChunks(
          source.size(),
          (lane, first, n) -> {
            float[] buffer = lane.floats(0, n);
            Floats.load(source, first, n, buffer);
            Floats.store(buffer, n, whole, base + first);
          });
      row += part.dim(0);
    }
    return whole;
  }

  /** The plain matrix again, from the panels of the forward product. */
  private CpuArray unpacked() {
    CpuArray whole = cpu.memory().allocate(packedType, out, in);
    var plain = new Gemm.Layout.Plain(1, in);
    cpu.workers()
        .run(
            forward.panels.size(),
            (lane, i) -> {
              Panel p = forward.panels.get(i);
              lane.gemm()
                  .copy(
                      new Gemm.Copy(in, p.columns, packedType, p.layout, plain),
                      p.memory.address(),
                      whole.address((long) p.first * in));
            });
    return whole;
  }

  private void release(CpuArray whole, List<CpuArray> from) {
    if (from.stream().noneMatch(part -> part == whole)) {
      cpu.memory().free(whole);
    }
  }

  @Override
  public synchronized void refresh() {
    if (frozen) {
      throw new IllegalStateException("a frozen matrix was updated; ask for it with frozen=false");
    }
    forwardStale = true;
    backwardStale = true;
  }

  private void requireOpen() {
    if (closed) {
      throw new IllegalStateException("the matrix [%d, %d] was closed".formatted(out, in));
    }
  }

  @Override
  public synchronized void close() {
    if (closed) {
      return;
    }
    closed = true;
    forward.panels.forEach(p -> cpu.memory().free(p.memory));
    if (backward != null) {
      backward.panels.forEach(p -> cpu.memory().free(p.memory));
    }
  }
}
