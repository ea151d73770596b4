package io.moextend.backend.nd4j;

import io.moextend.array.Array;
import io.moextend.backend.AttentionKernels.Attention;
import io.moextend.backend.AttentionKernels.Sight;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/** Which query sees which key: an attention's shape and its {@link Sight}, on the host. */
final class SeenKeys {
  private final Attention shape;
  private final byte @Nullable [] keys;
  private final byte @Nullable [] queries;
  private final boolean uniform;

  SeenKeys(Attention shape, @Nullable Sight sight) {
    this.shape = shape;
    this.keys = sight == null ? null : onHost(sight.keys());
    this.queries = sight == null || sight.queries() == null ? null : onHost(sight.queries());
    this.uniform = sight != null && sight.uniformWhenBlind();
  }

  private static byte[] onHost(Array numbers) {
    byte[] values = new byte[Math.toIntExact(numbers.size())];
    HostCopy.out(numbers, MemorySegment.ofArray(values));
    return values;
  }

  /** Where among the keys a query sits. */
  int position(int query) {
    return shape.keys() - shape.queries() + query;
  }

  boolean sees(int sequence, int query, int key) {
    int at = position(query);
    if ((shape.causal() && key > at) || (shape.window() > 0 && key <= at - shape.window())) {
      return false;
    }
    byte number = keys == null ? 1 : keys[sequence * shape.keys() + key];
    return number != 0
        && (queries == null || queries[sequence * shape.queries() + query] == number);
  }

  /** Queries of a sequence that are to get the mean of all values, since they see no key. */
  List<Integer> uniform(int sequence) {
    var blind = new ArrayList<Integer>();
    for (int query = 0; uniform && query < shape.queries(); query++) {
      int own = query;
      if (IntStream.range(0, shape.keys()).noneMatch(key -> sees(sequence, own, key))) {
        blind.add(query);
      }
    }
    return blind;
  }
}
