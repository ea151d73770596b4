package io.moextend.data.prompted;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Endless draws from a mixture: each picks a task by the rates, and the task's next example; every
 * pass through a task has an order of its own. A draw depends on the seed and its number alone. Not
 * thread-safe.
 */
final class DrawStream {
  /** One example of one task. */
  record Draw(int task, int example) {}

  private final int[] sizes;
  private final long seed;
  private final AliasTable rates;
  private final long[] drawn;
  private long at;

  DrawStream(List<Mixture.Part> parts, long seed) {
    this.sizes = parts.stream().mapToInt(part -> part.examples().size()).toArray();
    this.rates = new AliasTable(parts.stream().mapToDouble(Mixture.Part::rate).toArray());
    this.drawn = new long[sizes.length];
    this.seed = seed;
  }

  /**
   * Goes to a draw. How often each task was drawn before is counted anew where that lies behind:
   * some nanoseconds a draw, a second for a long run.
   */
  void seek(long number) {
    if (number < at) {
      Arrays.fill(drawn, 0);
      at = 0;
    }
    for (; at < number; at++) {
      drawn[task(at)]++;
    }
  }

  private int task(long number) {
    return rates.draw(Scramble.fraction(Scramble.key(seed, number)));
  }

  /** The next {@code count} draws. */
  List<Draw> next(int count) {
    var draws = new ArrayList<Draw>(count);
    for (int i = 0; i < count; i++, at++) {
      int task = task(at);
      long before = drawn[task]++;
      long pass = before / sizes[task];
      int within = (int) (before % sizes[task]);
      long key = Scramble.key(Scramble.key(~seed, task), pass);
      draws.add(new Draw(task, Scramble.place(within, sizes[task], key)));
    }
    return draws;
  }
}
