package io.moextend.cli;

import io.moextend.config.FeedForwardConfig;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.demo.DemoData;
import io.moextend.demo.DemoTokenizer;
import java.util.List;

/**
 * How large the world and the model of MoIIE's demo are, and how long each stage trains.
 *
 * @param hidden width of the language model
 * @param pretrain the dense language model, on text
 * @param connect its projector, on captions
 * @param sft each of the four models
 */
record MoiieDemoPlan(
    int hidden,
    int layers,
    DemoData.Sizes sizes,
    DemoPlan.Steps pretrain,
    DemoPlan.Steps connect,
    DemoPlan.Steps sft) {
  static final int EXPERTS = 4;
  static final int CHOSEN = 2;

  /** The last but one layer's output is what a model sees. */
  static final int TOWER_LAYERS = 2;

  private static final int POSITIONS = 512;

  /** What shows how the four differ, in minutes on two cores. */
  static MoiieDemoPlan usual() {
    return new MoiieDemoPlan(
        128,
        4,
        new DemoData.Sizes(2304, 144, 3000, 9000, 0.05),
        new DemoPlan.Steps(400, 32, 3e-3),
        new DemoPlan.Steps(200, 32, 3e-3),
        new DemoPlan.Steps(500, 32, 1e-3));
  }

  /** What shows that the chain holds, in seconds; little is learnt. */
  static MoiieDemoPlan quick() {
    return new MoiieDemoPlan(
        64,
        2,
        new DemoData.Sizes(192, 48, 300, 1800, 0.1),
        new DemoPlan.Steps(100, 16, 5e-3),
        new DemoPlan.Steps(40, 16, 5e-3),
        new DemoPlan.Steps(60, 16, 3e-3));
  }

  /** Each of them. */
  List<DemoPlan.Steps> stages() {
    return List.of(pretrain, connect, sft);
  }

  /** A dense Phi-3 that knows nothing. As in the published one, rows are filled with the end. */
  HuggingFaceConfig languageModel() {
    return DemoPlan.decoder(
        "phi3",
        DemoTokenizer.CONVERSATIONS,
        hidden,
        layers,
        POSITIONS,
        new FeedForwardConfig.Dense(2 * hidden),
        DemoTokenizer.END);
  }
}
