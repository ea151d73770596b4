package io.moextend.cli;

import io.moextend.config.DecoderConfig;
import io.moextend.config.FeedForwardConfig;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.demo.DemoData;
import io.moextend.demo.DemoTokenizer;
import java.util.List;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * How large the demo's world and model are, and how long each stage trains.
 *
 * @param hidden width of the language model
 * @param sizes of the data
 */
record DemoPlan(
    int hidden,
    int layers,
    DemoData.Sizes sizes,
    Steps pretrain,
    Steps alignment,
    Steps extension,
    Steps finetune) {
  /**
   * One stage.
   *
   * @param count optimizer steps
   * @param batch samples of a step
   * @param learningRate peak of the cosine
   */
  record Steps(int count, int batch, double learningRate) {}

  static final int TOWER_LAYERS = 1;

  private static final int HEAD = 32;
  private static final int EXPERTS = 8;
  private static final int CHOSEN = 2;
  private static final int ROUND = 16; // vocabulary rows come in multiples of it
  private static final int POSITIONS = 256;

  /** What proves the method, in minutes on two cores. */
  static DemoPlan usual() {
    return new DemoPlan(
        128,
        4,
        new DemoData.Sizes(2304, 144, 3000, 9000, 0.05),
        new Steps(400, 32, 3e-3),
        new Steps(300, 32, 3e-3),
        new Steps(20, 32, 1e-3),
        new Steps(500, 32, 2e-3));
  }

  /** What shows that the chain holds, in seconds; little is learnt. */
  static DemoPlan quick() {
    return new DemoPlan(
        64,
        2,
        new DemoData.Sizes(192, 48, 300, 1800, 0.1),
        new Steps(150, 16, 5e-3),
        new Steps(60, 16, 5e-3),
        new Steps(5, 16, 1e-3),
        new Steps(60, 16, 5e-3));
  }

  /** Each of them. */
  List<Steps> stages() {
    return List.of(pretrain, alignment, extension, finetune);
  }

  /** A Mixtral that knows nothing of pictures, with rows for their three tokens. */
  HuggingFaceConfig languageModel() {
    return decoder(
        "mixtral",
        DemoTokenizer.INSTRUCTIONS,
        hidden,
        layers,
        POSITIONS,
        new FeedForwardConfig.Experts(hidden, EXPERTS, CHOSEN, new TreeSet<>(), 0.01),
        null);
  }

  /**
   * A small language model.
   *
   * @param pad its embedding is never trained; null for none
   */
  static HuggingFaceConfig decoder(
      String type,
      DemoTokenizer tokenizer,
      int hidden,
      int layers,
      int positions,
      FeedForwardConfig networks,
      @Nullable Integer pad) {
    return HuggingFaceConfig.of(
        new DecoderConfig(
            type,
            Math.ceilDiv(tokenizer.vocabularySize(), ROUND) * ROUND,
            hidden,
            layers,
            new DecoderConfig.Heads(hidden / HEAD, hidden / HEAD, HEAD),
            new DecoderConfig.Rope(10_000, positions),
            0,
            1e-5,
            0.05,
            false,
            networks,
            new DecoderConfig.SpecialTokens(DemoTokenizer.START, DemoTokenizer.END, pad),
            null));
  }
}
