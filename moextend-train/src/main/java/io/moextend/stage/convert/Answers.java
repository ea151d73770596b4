package io.moextend.stage.convert;

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
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.Set;

/**
 * What a model makes of some tokens, in f32. T tokens.
 *
 * @param states the embeddings and what each layer makes of them, the last after the final norm,
 *     [T, hidden] each
 * @param logits [T, vocab]
 * @param drawn routers that the checkpoint does not have
 */
record Answers(DecoderConfig config, List<float[]> states, float[] logits, List<String> drawn) {
  private static final Set<String> OUTSIDE_LAYERS =
      Set.of("model.embed_tokens.weight", "model.norm.weight", "lm_head.weight");

  /**
   * What they are asked.
   *
   * @param types [T], 1 for what is taken for an image patch
   */
  record Question(int[] ids, byte[] types) {
    /** Random ids, the middle half of them as patches. */
    static Question random(int tokens, int vocab, long seed) {
      byte[] types = new byte[tokens];
      Arrays.fill(types, tokens / 4, tokens - tokens / 4, (byte) 1);
      return new Question(new Random(seed).ints(tokens, 0, vocab).toArray(), types);
    }

    int patches() {
      int patches = 0;
      for (byte type : types) {
        patches += type;
      }
      return patches;
    }
  }

  /**
   * Runs a model layer by layer, with one layer's matrices in memory at a time.
   *
   * @param weights with whatever else beside the language model; closed
   * @param config of the language model alone
   */
  static Answers of(
      Backend backend, WeightSource weights, DecoderConfig config, Question question, long seed) {
    var states = new ArrayList<float[]>();
    try (OpenModel model =
            OpenModel.inTurn(
                new Selected(weights, Answers::isLanguage), config, backend, DType.F32, seed);
        Arena arena = backend.arena("answers")) {
      Tape tape = Tape.off(backend, arena);
      int tokens = question.ids.length;
      var input =
          new ModelInput(
              1,
              tokens,
              backend.ints(arena, question.ids, tokens),
              null,
              null,
              List.of(),
              backend.bytes(arena, question.types, tokens),
              null);
      Decoder decoder = model.decoder();
      Watch watch =
          (name, array) -> {
            if (name.startsWith("hidden_states.")) {
              states.add(backend.toFloats(arena, array));
            }
          };
      Decoder.Output output = decoder.forward(tape, input, false, watch);
      decoder.residency().finish();
      float[] logits = backend.toFloats(arena, decoder.logits(tape, output.hidden()).data());
      return new Answers(config, List.copyOf(states), logits, model.initialised());
    }
  }

  private static boolean isLanguage(String name) {
    return name.startsWith("model.layers.") || OUTSIDE_LAYERS.contains(name);
  }

  /** Where another's numbers first differ by more than the tolerance; -1 where they do not. */
  int firstDifference(Answers other, double tolerance) {
    for (int i = 0; i < states.size(); i++) {
      if (!near(states.get(i), other.states.get(i), config.hidden(), tolerance)) {
        return i;
      }
    }
    return near(logits, other.logits, config.vocab(), tolerance) ? -1 : states.size();
  }

  /** NaN is near nothing. */
  private static boolean near(float[] a, float[] b, int width, double tolerance) {
    for (int row = 0; row < a.length; row += width) {
      double largest = 0;
      double off = 0;
      for (int i = row; i < row + width; i++) {
        double change = Math.abs((double) a[i] - b[i]);
        off = change <= off ? off : change;
        largest = Math.max(largest, Math.abs(a[i]));
      }
      if (!(off <= tolerance * largest)) {
        return false;
      }
    }
    return true;
  }

  double largestLogit() {
    double largest = 0;
    for (float logit : logits) {
      largest = Math.max(largest, Math.abs(logit));
    }
    return largest;
  }

  /** Between any two logits; NaN where one is. */
  double largestDifference(Answers other) {
    double largest = 0;
    for (int i = 0; i < logits.length; i++) {
      double change = Math.abs((double) logits[i] - other.logits[i]);
      if (!(change <= largest)) {
        largest = change;
      }
      if (Double.isNaN(largest)) {
        return largest;
      }
    }
    return largest;
  }
}
