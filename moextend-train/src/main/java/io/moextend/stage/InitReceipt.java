package io.moextend.stage;

import io.moextend.array.Arena;
import io.moextend.array.DType;
import io.moextend.autograd.Tape;
import io.moextend.backend.Backend;
import io.moextend.checkpoint.Selected;
import io.moextend.checkpoint.WeightSource;
import io.moextend.config.DecoderConfig;
import io.moextend.model.Decoder;
import io.moextend.model.ModelInput;
import io.moextend.model.OpenModel;
import io.moextend.model.Watch;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Supplier;

/**
 * What growing did to a model's answers, measured: the largest change of any logit on random token
 * ids.
 *
 * @param masked with the new gates masked, so that no new expert can be chosen: 0 where nothing old
 *     moved
 * @param unmasked with the new experts taking part. Not 0, and not always small: a fresh copy has
 *     its donor's logit, so where the donor is a token's first choice the copy takes the place of
 *     the second
 * @param tokens how many positions were compared
 */
public record InitReceipt(double masked, double unmasked, int tokens) {
  private static final int BATCH = 2;

  /**
   * @param before opens the model that was grown
   * @param after opens the grown one; both are closed again
   * @param length of each of the two random sequences
   */
  public static InitReceipt measure(
      Backend backend,
      DType dtype,
      DecoderConfig oldConfig,
      DecoderConfig newConfig,
      Supplier<WeightSource> before,
      Supplier<WeightSource> after,
      int length,
      long seed) {
    int[] ids = new Random(seed).ints((long) BATCH * length, 0, oldConfig.vocab()).toArray();
    float[] old = logits(backend, dtype, oldConfig, before.get(), ids);
    Set<String> oldNames;
    try (WeightSource source = before.get()) {
      oldNames = new TreeSet<>(source.names());
    }
    // the grown file read as the old architecture: its new gates and experts do not exist for the
    // routers
    float[] masked =
        logits(backend, dtype, oldConfig, new Selected(after.get(), oldNames::contains), ids);
    float[] grown = logits(backend, dtype, newConfig, after.get(), ids);
    return new InitReceipt(largest(old, masked), largest(old, grown), ids.length);
  }

  private static float[] logits(
      Backend backend, DType dtype, DecoderConfig config, WeightSource source, int[] ids) {
    try (OpenModel model = OpenModel.of(source, config, backend, dtype, Set.of(), 0);
        Arena arena = backend.arena("receipt")) {
      Tape tape = Tape.off(backend, arena);
      var input =
          new ModelInput(
              BATCH,
              ids.length / BATCH,
              backend.ints(arena, ids, ids.length),
              null,
              null,
              List.of());
      Decoder decoder = model.decoder();
      Decoder.Output output = decoder.forward(tape, input, false, Watch.NONE);
      return backend.toFloats(arena, decoder.logits(tape, output.hidden()).data());
    }
  }

  private static double largest(float[] a, float[] b) {
    double largest = 0;
    for (int i = 0; i < a.length; i++) {
      double change = Math.abs((double) a[i] - b[i]);
      if (!(change <= largest)) { // NaN counts as the largest
        largest = change;
      }
    }
    return largest;
  }
}
