package io.moextend.cli;

import io.moextend.config.HuggingFaceConfig;
import io.moextend.config.T5Config;
import io.moextend.demo.PromptedWorld;
import io.moextend.train.AdapterSection.Method;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.TreeMap;

/**
 * How large the world and the model of the adapters' demo are, and how long each method trains.
 *
 * @param hidden width of the T5
 * @param layers of each of its stacks
 * @param pretrain the T5, on texts with a word left out
 * @param steps of each method, in the order of the report
 */
record MovDemoPlan(
    int hidden,
    int layers,
    PromptedWorld.Sizes sizes,
    DemoPlan.Steps pretrain,
    SequencedMap<Method, DemoPlan.Steps> steps) {
  static final int EXPERTS = 5;
  static final int RANK = 2;
  static final int LENGTH = 48;
  static final int TARGET = 4;

  private static final int HEAD = 16;
  private static final int ROUND = 16; // vocabulary rows come in multiples of it

  /** What shows how the five differ, in minutes on two cores. */
  static MovDemoPlan usual() {
    return new MovDemoPlan(
        64,
        2,
        new PromptedWorld.Sizes(20_000, 600, 300),
        new DemoPlan.Steps(700, 64, 3e-3),
        steps(400, 64));
  }

  /** What shows that the chain holds, in seconds; little is learnt. */
  static MovDemoPlan quick() {
    return new MovDemoPlan(
        32,
        1,
        new PromptedWorld.Sizes(2_000, 60, 20),
        new DemoPlan.Steps(100, 32, 5e-3),
        steps(60, 32));
  }

  /**
   * Rates are the best of a few tried with one seed: vectors bear higher ones than products, and
   * those than the whole model.
   */
  private static SequencedMap<Method, DemoPlan.Steps> steps(int count, int batch) {
    var steps = new TreeMap<Method, DemoPlan.Steps>();
    steps.put(Method.IA3, new DemoPlan.Steps(count, batch, 5e-2));
    steps.put(Method.LORA, new DemoPlan.Steps(count, batch, 5e-3));
    steps.put(Method.MOV, new DemoPlan.Steps(count, batch, 5e-2));
    steps.put(Method.MOLORA, new DemoPlan.Steps(count, batch, 3e-3));
    steps.put(Method.FULL, new DemoPlan.Steps(count, batch, 1e-3));
    return steps;
  }

  /** Each of them. */
  List<DemoPlan.Steps> stages() {
    var all = new ArrayList<DemoPlan.Steps>(List.of(pretrain));
    all.addAll(steps.values());
    return all;
  }

  /** A T5 1.1 that knows nothing. */
  HuggingFaceConfig model() {
    int vocabulary = Math.ceilDiv(PromptedWorld.vocabularySize(), ROUND) * ROUND;
    return HuggingFaceConfig.of(
        T5Config.v11(vocabulary, hidden, HEAD, hidden / HEAD, 2 * hidden, layers, layers));
  }

  /** In the report's order. */
  List<Map.Entry<Method, DemoPlan.Steps>> methods() {
    return List.copyOf(steps.entrySet());
  }
}
