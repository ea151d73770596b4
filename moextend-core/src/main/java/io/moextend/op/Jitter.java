package io.moextend.op;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Backend;
import java.util.List;
import java.util.random.RandomGenerator;
import java.util.random.RandomGeneratorFactory;

/**
 * y = x · n, each n drawn from U(1 - amount, 1 + amount): the multiplicative noise of a mixture's
 * input. The same seed draws the same numbers, so that a checkpointed segment may run twice.
 *
 * @see <a href="https://arxiv.org/abs/2101.03961">Switch Transformer</a>, section 2.4
 */
public final class Jitter {
  private Jitter() {}

  public static Tensor apply(Tape tape, Tensor x, double amount, long seed) {
    Array noise = noise(tape.backend(), tape.arena(), x.data(), amount, seed);
    Array y = tape.backend().multiply(tape.arena(), x.data(), noise);
    return tape.record(
        "jitter",
        y,
        List.of(x),
        List.of(noise),
        dY -> List.of(tape.backend().multiply(tape.arena(), dY, noise)));
  }

  /** By slices, so that a large array does not need its size again on the heap. */
  private static Array noise(Backend backend, Arena arena, Array like, double amount, long seed) {
    RandomGenerator random = RandomGeneratorFactory.of("L64X128MixRandom").create(seed);
    Array noise = arena.allocate(like.dtype(), like.shape());
    Array flat = noise.reshape(noise.size());
    int most = 1 << 16;
    for (long from = 0; from < flat.size(); from += most) {
      double[] values = new double[(int) Math.min(most, flat.size() - from)];
      for (int i = 0; i < values.length; i++) {
        values[i] = 1 + amount * (2 * random.nextDouble() - 1);
      }
      Array slice = backend.doubles(arena, like.dtype(), values, values.length);
      backend.copyInto(flat.slice(from, from + values.length), slice);
      arena.free(slice);
    }
    return noise;
  }
}
