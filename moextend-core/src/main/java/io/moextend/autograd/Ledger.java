package io.moextend.autograd;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import java.util.Collection;
import java.util.IdentityHashMap;
import java.util.Map;

/**
 * Counts who still needs an array of the step's arena, so that it can be freed at its last use.
 * Views count for their base. An array is freed only if the ledger was told that nobody outside the
 * tape holds it ({@link #adopt}).
 */
final class Ledger {
  private final Arena arena;
  private final Map<Array, Integer> holds = new IdentityHashMap<>();
  private final Map<Array, Boolean> adopted = new IdentityHashMap<>();

  Ledger(Arena arena) {
    this.arena = arena;
  }

  void hold(Array array) {
    holds.merge(array.base(), 1, Integer::sum);
  }

  void release(Array array) {
    Array base = array.base();
    Integer left = holds.computeIfPresent(base, (b, n) -> n == 1 ? null : n - 1);
    if (left == null && adopted.remove(base) != null) {
      arena.free(base);
    }
  }

  /** True where one hold is left of a whole array that nobody but the tape reads. */
  boolean isLastOf(Array array) {
    return array.base() == array && adopted.containsKey(array) && holds.getOrDefault(array, 0) == 1;
  }

  /**
   * Nobody but the tape reads these any more: frees those that nothing holds, and the others when
   * they are released.
   */
  void adopt(Collection<Array> arrays) {
    for (Array array : arrays) {
      if (holds.containsKey(array.base())) {
        adopted.put(array.base(), true);
      } else {
        arena.free(array);
      }
    }
  }
}
