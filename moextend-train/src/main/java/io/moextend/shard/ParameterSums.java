package io.moextend.shard;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.Backend;
import io.moextend.comm.device.Conversation;
import io.moextend.shard.ParameterLayout.Slice;

/** The numbers that an update rule wants to know of whole parameters, some for each. */
final class ParameterSums {
  private final Backend backend;
  private final Arena arena;
  private final int each;
  private Array all;

  /**
   * @param each numbers of a parameter
   */
  ParameterSums(Backend backend, Arena arena, ParameterLayout layout, int each) {
    this.backend = backend;
    this.each = each;
    this.arena = arena;
    this.all = arena.allocate(DType.F64, (long) each * layout.slices().size());
    backend.fillInto(all, 0);
  }

  /** A parameter's. */
  Array of(Slice slice) {
    return all.slice((long) each * slice.index(), (long) each * (slice.index() + 1));
  }

  void put(Slice slice, Array numbers) {
    backend.copyInto(of(slice), numbers);
  }

  /** Each becomes the sum over all ranks, added in their order. A collective call. */
  void reduce(Conversation conversation) {
    double[] own = backend.toDoubles(all);
    double[] sums = new double[own.length];
    for (double[] one : conversation.gather("sums over parameters", own)) {
      for (int i = 0; i < sums.length; i++) {
        sums[i] += one[i];
      }
    }
    all = backend.doubles(arena, DType.F64, sums, sums.length);
  }
}
