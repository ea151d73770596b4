package io.moextend.op;

import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Backend;
import java.util.Arrays;
import java.util.List;
import java.util.random.RandomGenerator;
import java.util.random.RandomGeneratorFactory;

/**
 * Numbers that become 0 with a probability of {@code rate}; those that stay are divided by 1 -
 * rate. Masks are shared as in T5: by all positions of a sequence, and in attention by all queries.
 * The same seed and place draw the same mask, so that a checkpointed segment may run twice.
 *
 * @see <a href="https://jmlr.org/papers/v15/srivastava14a.html">Dropout</a>, section 4
 */
public record Dropout(double rate, long seed) {
  public Dropout {
    if (!(rate >= 0 && rate < 1)) {
      throw new IllegalArgumentException("dropout=" + rate + ": must be at least 0 and below 1");
    }
  }

  /** With masks of its own for a place of the model. */
  public Dropout at(String place) {
    return new Dropout(rate, seed * 31 + place.hashCode());
  }

  /**
   * One mask for all positions of a sequence.
   *
   * @param x [batch·length, F]
   */
  public Tensor features(Tape tape, Tensor x, int length) {
    if (rate == 0) {
      return x;
    }
    Backend backend = tape.backend();
    long width = x.data().dim(1);
    int rows = Math.toIntExact(x.data().dim(0));
    int batch = rows / length;
    double[] drawn = draw(Math.multiplyExact(batch, Math.toIntExact(width)));
    Array mask = backend.doubles(tape.arena(), x.data().dtype(), drawn, batch, width);
    int[] sequences = new int[rows];
    Arrays.setAll(sequences, r -> r / length);
    Array sequence = backend.ints(tape.arena(), sequences, rows);
    return tape.record(
        "dropout",
        masked(tape, x.data(), mask, sequence),
        List.of(x),
        List.of(mask, sequence),
        dY -> List.of(masked(tape, dY, mask, sequence)));
  }

  private static Array masked(Tape tape, Array x, Array mask, Array sequence) {
    Array each = tape.backend().gatherRows(tape.arena(), mask, sequence);
    Array y = tape.backend().multiply(tape.arena(), x, each);
    tape.arena().free(each);
    return y;
  }

  /**
   * Of attention's weights, one mask for all queries: as much as scaling the values themselves.
   *
   * @param v [batch·keys, heads·size]
   */
  public Tensor values(Tape tape, Tensor v, int heads) {
    if (rate == 0) {
      return v;
    }
    Backend backend = tape.backend();
    DType wide = v.data().dtype().wide();
    int rows = Math.toIntExact(v.data().dim(0) * heads);
    Array mask = backend.doubles(tape.arena(), wide, draw(rows), rows, 1);
    int[] own = new int[rows];
    Arrays.setAll(own, r -> r);
    Array places = backend.ints(tape.arena(), own, rows, 1);
    return tape.record(
        "dropout of values",
        scaled(tape, v.data(), places, mask),
        List.of(v),
        List.of(places, mask),
        dY -> List.of(scaled(tape, dY, places, mask)));
  }

  private static Array scaled(Tape tape, Array x, Array places, Array mask) {
    long rows = mask.dim(0);
    Array byHead = x.reshape(rows, x.size() / Math.max(1, rows));
    return tape.backend().mixRows(tape.arena(), byHead, places, mask).reshape(x.shape());
  }

  private double[] draw(int count) {
    RandomGenerator random = RandomGeneratorFactory.of("L64X128MixRandom").create(seed);
    double[] drawn = new double[count];
    Arrays.setAll(drawn, i -> random.nextDouble() < rate ? 0 : 1 / (1 - rate));
    return drawn;
  }
}
