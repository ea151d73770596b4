package io.moextend.eval;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Backend;
import io.moextend.config.VisionConfig;
import io.moextend.model.Decoder;
import io.moextend.model.KeyValueCache;
import io.moextend.model.ModelInput;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntConsumer;
import java.util.function.IntPredicate;
import org.jspecify.annotations.Nullable;

/**
 * Continues one sequence with the most likely token each time: the prompt in one pass, then a pass
 * for each new token over that token alone.
 */
public final class Greedy {
  private final Backend backend;
  private final Decoder model;

  public Greedy(Backend backend, Decoder model) {
    this.backend = backend;
    this.model = model;
  }

  /**
   * The images of a prompt.
   *
   * @param pixels [images, 3, size, size]
   * @param slots positions of the prompt that their patches overwrite, image after image
   */
  @SuppressWarnings("ArrayRecordComponent") // handed over, compared nowhere
  public record Pictures(float[] pixels, int[] slots) {}

  /**
   * @param pictures null where the prompt has none
   * @param most new tokens
   * @param stop a token that ends the answer; it is not part of it
   * @param seen told each new token as it comes
   * @return the new tokens
   */
  public int[] extend(
      int[] prompt, @Nullable Pictures pictures, int most, IntPredicate stop, IntConsumer seen) {
    if (prompt.length == 0) {
      throw new IllegalArgumentException("a prompt without tokens");
    }
    int[] answer = new int[most];
    int length = 0;
    try (var cache =
        new KeyValueCache(
            backend, model.config(), model.dtype(), Math.addExact(prompt.length, most))) {
      int[] ids = prompt;
      Pictures shown = pictures;
      while (length < most) {
        if (cache.outgrownBy(ids.length)) {
          cache.clear();
          ids = Arrays.copyOf(prompt, prompt.length + length);
          System.arraycopy(answer, 0, ids, prompt.length, length);
          shown = pictures;
        }
        int next = next(ids, shown, cache);
        if (stop.test(next)) {
          break;
        }
        answer[length++] = next;
        seen.accept(next);
        ids = new int[] {next};
        shown = null;
      }
    }
    return Arrays.copyOf(answer, length);
  }

  /** The most likely token behind those in the cache and {@code ids}, which the cache takes up. */
  private int next(int[] ids, @Nullable Pictures pictures, KeyValueCache cache) {
    try (Arena arena = backend.arena("greedy")) {
      var input =
          new ModelInput(
              1,
              ids.length,
              backend.ints(arena, ids, ids.length),
              null,
              pictures == null ? null : images(arena, pictures),
              List.of());
      Tape tape = Tape.off(backend, arena);
      Array last = backend.ints(arena, new int[] {ids.length - 1}, 1);
      Tensor hidden = model.extend(tape, input, List.of(cache), last).hidden();
      return likeliest(backend, arena, model.logits(tape, hidden).data());
    }
  }

  /**
   * @param logits [1, vocab]
   */
  static int likeliest(Backend backend, Arena arena, Array logits) {
    Array wide = logits.dtype() == DType.BF16 ? backend.cast(arena, logits, DType.F32) : logits;
    return backend.toInts(backend.topK(arena, wide, 1))[0];
  }

  private ModelInput.Images images(Arena arena, Pictures pictures) {
    VisionConfig vision = model.config().vision();
    int size = vision == null ? 1 : vision.imageSize();
    int count = pictures.pixels.length / (3 * size * size);
    return new ModelInput.Images.Pixels(
        backend.floats(arena, model.dtype(), pictures.pixels, count, 3, size, size),
        backend.ints(arena, pictures.slots, pictures.slots.length));
  }
}
