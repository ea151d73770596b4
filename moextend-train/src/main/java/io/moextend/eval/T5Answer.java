package io.moextend.eval;

import io.moextend.array.Arena;
import io.moextend.autograd.Tape;
import io.moextend.backend.Backend;
import io.moextend.model.T5;
import io.moextend.model.T5Cache;
import java.util.Arrays;
import java.util.function.IntConsumer;
import java.util.function.IntPredicate;

/**
 * What a T5 answers to an input, with the most likely token each time: the encoder once, then a
 * pass of the decoder for each new token over that token alone.
 */
public final class T5Answer {
  private final Backend backend;
  private final T5 model;

  public T5Answer(Backend backend, T5 model) {
    this.backend = backend;
    this.model = model;
  }

  /**
   * @param inputs ids
   * @param most new tokens
   * @param stop a token that ends the answer; it is not part of it
   * @param seen told each new token as it comes
   * @return the new tokens
   */
  public int[] to(int[] inputs, int most, IntPredicate stop, IntConsumer seen) {
    if (inputs.length == 0) {
      throw new IllegalArgumentException("an input without tokens");
    }
    int[] answer = new int[most];
    int length = 0;
    try (T5Cache cache = model.read(backend, inputs, most)) {
      int last = model.config().tokens().start();
      while (length < most) {
        last = next(last, cache);
        if (stop.test(last)) {
          break;
        }
        answer[length++] = last;
        seen.accept(last);
      }
    }
    return Arrays.copyOf(answer, length);
  }

  private int next(int last, T5Cache cache) {
    try (Arena arena = backend.arena("answer")) {
      Tape tape = Tape.off(backend, arena);
      return Greedy.likeliest(
          backend, arena, model.logits(tape, model.extend(tape, new int[] {last}, cache)).data());
    }
  }
}
