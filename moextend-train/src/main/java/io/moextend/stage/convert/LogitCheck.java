package io.moextend.stage.convert;

import io.moextend.backend.Backend;
import io.moextend.checkpoint.CheckpointFolder;
import io.moextend.checkpoint.FrozenProof.Print;
import io.moextend.checkpoint.WeightSource;
import io.moextend.config.ConfigException;
import io.moextend.config.DecoderConfig;
import io.moextend.config.FeedForwardConfig;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.stage.convert.Answers.Question;
import java.nio.file.Path;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Asks a model and what it was converted to the same random tokens. While the experts of a layer
 * are copies of one network and a token's weights sum to 1, a mixture says what the dense model
 * says, whatever its routers choose.
 *
 * <p>Both models run in f32, one after the other and layer by layer: it takes the memory of one
 * layer, the embedding and the head, not of a model.
 *
 * @param source opens the weights that are converted
 * @param tokens at least {@link #LEAST}
 * @param seed of the tokens, and of routers that the checkpoint does not have
 */
public record LogitCheck(Backend backend, Supplier<WeightSource> source, int tokens, long seed) {
  /** So that both modalities have several tokens. */
  public static final int LEAST = 8;

  /** Their logits and hidden states are held in memory. */
  public static final int MOST = 4096;

  /** Of the largest number of a row; hidden states of f32 models agree to a hundredth of it. */
  static final double TOLERANCE = 1e-4;

  public LogitCheck {
    if (tokens < LEAST || tokens > MOST) {
      throw new ConfigException(
          "--check-tokens", tokens, "give %d to %d, or 0 for no check".formatted(LEAST, MOST));
    }
  }

  /**
   * To be asked before anything is written.
   *
   * @throws ConfigException where a model of this config could be converted, but not run
   */
  public static void requireRunnable(Conversion conversion) {
    try {
      var unused = before(conversion);
      unused = after(conversion, conversion.source().file());
    } catch (ConfigException e) {
      throw new ConfigException(
          e.getMessage()
              + "; the check of logits has to run the model, --check-tokens 0 leaves it"
              + " out",
          e);
    }
  }

  /**
   * @param folder of the converted model
   * @throws DifferentAnswersException where the two must agree and do not, with the layer where
   *     they first differ
   */
  LogitReceipt measure(Conversion conversion, Path folder) {
    DecoderConfig before = before(conversion);
    DecoderConfig after = after(conversion, folder.resolve(HuggingFaceConfig.FILE));
    Question question = Question.random(tokens, before.vocab(), seed);
    Answers old = Answers.of(backend, source.get(), before, question, seed);
    Answers now = Answers.of(backend, CheckpointFolder.open(folder), after, question, seed);
    boolean told = Stream.of(before, after).anyMatch(LogitCheck::tellsModalities);
    int first = old.firstDifference(now, TOLERANCE);
    var receipt =
        new LogitReceipt(
            tokens,
            told ? question.patches() : 0,
            backend.name(),
            conversion.keepsAnswers(),
            old.largestLogit(),
            old.largestDifference(now),
            TOLERANCE,
            first < 0 ? null : place(first, before.layers()),
            Stream.concat(old.drawn().stream(), now.drawn().stream()).toList());
    if (first >= 0 && receipt.expected()) {
      throw different(conversion, folder, receipt, first - 1);
    }
    return receipt;
  }

  private static DecoderConfig before(Conversion conversion) {
    SourceModel source = conversion.source();
    return HuggingFaceConfig.languageModel(source.config(), source.file());
  }

  private static DecoderConfig after(Conversion conversion, Path file) {
    return HuggingFaceConfig.languageModel(conversion.config(), file);
  }

  private static boolean tellsModalities(DecoderConfig config) {
    return config.feedForward() instanceof FeedForwardConfig.Mixed mixed
        && mixed.scheme().tellsModalities();
  }

  private static String place(int state, int layers) {
    if (state == 0) {
      return "the embeddings";
    }
    return state > layers ? "the head" : "layer " + (state - 1);
  }

  private static DifferentAnswersException different(
      Conversion conversion, Path folder, LogitReceipt receipt, int layer) {
    String culprit = culprit(conversion, folder, "model.layers." + layer + ".");
    return new DifferentAnswersException(
        "%s; %s. Nothing is left at the output"
            .formatted(
                receipt.text(),
                culprit == null
                    ? "every tensor there is byte for byte the source's, so look for numbers that"
                        + " are none, or for a fault of ours"
                    : culprit));
  }

  /** A tensor of this layer, or of none, that is not what it was taken over from. */
  private static @Nullable String culprit(Conversion conversion, Path folder, String layer) {
    WeightSource old = conversion.source().weights();
    try (WeightSource now = CheckpointFolder.open(folder)) {
      return conversion.from().entrySet().stream()
          .filter(e -> e.getKey().startsWith(layer) || !e.getKey().startsWith("model.layers."))
          .filter(e -> !Print.of(old.stream(e.getValue())).equals(Print.of(now.stream(e.getKey()))))
          .map(e -> "%s is not the source's %s".formatted(e.getKey(), e.getValue()))
          .findFirst()
          .orElse(null);
    }
  }
}
