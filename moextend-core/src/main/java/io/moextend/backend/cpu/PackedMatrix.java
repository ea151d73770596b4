package io.moextend.backend.cpu;

import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.array.ShapeException;
import io.moextend.backend.HostShare;
import io.moextend.backend.Matrix;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A stack of weights as oneDNN wants it. A frozen one is packed at once for x Wᵀ and, if ever used
 * so, for dY W; a trainable one when used first after an update. What a frozen one with an identity
 * packs is in the host's share, where there is one.
 */
final class PackedMatrix implements Matrix {
  private final CpuDevice cpu;
  private final List<CpuArray> parts;
  private final boolean frozen;
  private final @Nullable String identity;
  private final DType type;
  private final DType packedType;
  private final int out;
  private final int in;
  private final PackedSide.Plan forwardPlan;
  private @Nullable PackedSide forward;
  private @Nullable PackedSide backward;
  private boolean forwardStale = true;
  private boolean backwardStale = true;
  private boolean closed;

  /**
   * @param identity of frozen values, the same in all processes; null = packed here
   */
  PackedMatrix(CpuDevice cpu, List<Array> parts, boolean frozen, @Nullable String identity) {
    this.cpu = cpu;
    this.frozen = frozen;
    this.identity = identity;
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
    int[] widths = read.stream().mapToInt(p -> CpuDevice.count(p.dim(0))).toArray();
    this.forwardPlan = PackedSide.Plan.of(cpu, packedType, in, widths);
    this.out = forwardPlan.columns();
    this.parts = frozen ? List.of() : read;
    if (frozen) {
      forward = made(forwardPlan, "x Wᵀ", side -> packForward(read, side));
      forwardStale = false;
    }
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
  synchronized PackedSide forward() {
    requireOpen();
    PackedSide side = forward;
    if (side == null) {
      side = own(forwardPlan);
      forward = side;
    }
    if (forwardStale) {
      packForward(parts, side);
      forwardStale = false;
    }
    return side;
  }

  /** For dY W: weights [out, in]. */
  synchronized PackedSide backward() {
    requireOpen();
    PackedSide side = backward;
    if (side == null) {
      PackedSide.Plan plan = PackedSide.Plan.of(cpu, packedType, out, in);
      side = frozen ? made(plan, "dY W", this::packBackward) : own(plan);
      backward = side;
      backwardStale = !frozen;
    }
    if (backwardStale) {
      packBackward(side);
      backwardStale = false;
    }
    return side;
  }

  /** Fills a side's panels. */
  @FunctionalInterface
  private interface Packing {
    void into(PackedSide side);
  }

  private PackedSide own(PackedSide.Plan plan) {
    return plan.in(cpu.memory().allocate(DType.U8, plan.bytes()));
  }

  /** A filled side: the host's where it shares, else our own. */
  @SuppressWarnings("MustBeClosedChecker") // the block is the memory's, freed in close()
  private PackedSide made(PackedSide.Plan plan, String product, Packing packing) {
    HostShare share = cpu.share();
    if (share == null || identity == null || plan.bytes() == 0) {
      PackedSide side = own(plan);
      packing.into(side);
      return side;
    }
    // The library may choose another layout for another instruction set or number of threads.
    String name =
        "%s packed for %s, %s [%d, %d], isa %s, threads %d"
            .formatted(
                identity,
                product,
                packedType,
                out,
                in,
                cpu.library().isa(),
                cpu.library().threads());
    HostShare.Block block =
        share.block(
            name,
            plan.bytes(),
            to -> {
              PackedSide side = own(plan);
              packing.into(side);
              to.accept(CpuArray.ALL.asSlice(side.memory().address(), plan.bytes()));
              cpu.memory().free(side.memory());
            });
    return plan.in(cpu.memory().lend(block, DType.U8, plan.bytes()));
  }

  private void packForward(List<CpuArray> from, PackedSide into) {
    CpuArray whole = stacked(from);
    try {
      var plain = new Gemm.Layout.Plain(1, in);
      into.forPanels(
          cpu,
          (lane, p) ->
              lane.gemm()
                  .copy(
                      new Gemm.Copy(in, p.columns(), packedType, plain, p.layout()),
                      whole.address((long) p.first() * in),
                      p.address()));
    } finally {
      release(whole, from);
    }
  }

  private void packBackward(PackedSide into) {
    CpuArray whole = frozen ? unpacked() : stacked(parts);
    try {
      var plain = new Gemm.Layout.Plain(in, 1);
      into.forPanels(
          cpu,
          (lane, p) ->
              lane.gemm()
                  .copy(
                      new Gemm.Copy(out, p.columns(), packedType, plain, p.layout()),
                      whole.address(p.first()),
                      p.address()));
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
    forward()
        .forPanels(
            cpu,
            (lane, p) ->
                lane.gemm()
                    .copy(
                        new Gemm.Copy(in, p.columns(), packedType, p.layout(), plain),
                        p.address(),
                        whole.address((long) p.first() * in)));
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
    free(forward);
    free(backward);
  }

  private void free(@Nullable PackedSide side) {
    if (side != null) {
      cpu.memory().free(side.memory());
    }
  }
}
