package io.moextend.backend.cpu;

import io.moextend.array.Arena;
import io.moextend.array.DType;
import org.jspecify.annotations.Nullable;

/**
 * A bias of attention by distance, whole and, behind it in the same memory, as what it was made of:
 * a row of the whole is a stretch of that, so that attention reads a few kilobytes out of its cache
 * instead of megabytes. Read-only, so that both stay the same.
 *
 * @param owner of the memory
 * @param whole address
 * @param source address of what it was made of
 */
record DistanceBias(CpuArray.Block owner, long whole, long source, int queries, int keys)
    implements CpuArray.Block {
  /**
   * @param byDistance [heads, queries + keys - 1]
   * @return [heads, queries, keys]
   */
  static CpuArray make(CpuDevice cpu, Arena to, CpuArray byDistance, int queries, int keys) {
    int heads = CpuDevice.count(byDistance.dim(0));
    int distances = queries + keys - 1;
    byDistance.require("byDistance", heads, distances);
    long all = (long) heads * queries * keys;
    CpuArray memory = CpuDevice.allocate(to, DType.F32, all + byDistance.size());
    CpuArray.copy(byDistance, 0, memory, all, byDistance.size());
    cpu.forRows(
        (long) heads * queries,
        keys,
        (lane, r) -> {
          long from = (long) (r / queries) * distances + queries - 1 - r % queries;
          CpuArray.copy(byDistance, from, memory, (long) r * keys, keys);
        });
    var block =
        new DistanceBias(memory.block(), memory.address(), memory.address(all), queries, keys);
    return new CpuArray(
        DType.F32, new long[] {heads, queries, keys}, block, memory.address(), memory);
  }

  /** What a whole bias was made of; null of any other, and of a part. */
  static @Nullable DistanceBias of(CpuArray bias) {
    return bias.block() instanceof DistanceBias made
            && bias.address() == made.whole
            && bias.address(bias.size()) == made.source
            && bias.rank() == 3
            && bias.dim(1) == made.queries
            && bias.dim(2) == made.keys
        ? made
        : null;
  }

  /** Where the first query of a head finds its first key; the next query's is one before. */
  long first(int head) {
    return source + 4L * (head * distances() + queries - 1);
  }

  /** Of a head. */
  long distances() {
    return queries + keys - 1L;
  }

  @Override
  public boolean isLive() {
    return owner.isLive();
  }

  @Override
  public boolean isReadOnly() {
    return true;
  }
}
