package io.moextend.stage;

import static java.util.Map.entry;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.moextend.config.FeedForwardConfig;
import io.moextend.config.Scheme;
import io.moextend.data.Batch;
import io.moextend.moe.TokenGroup;
import io.moextend.stage.RoutingStatistics.ExpertLoad;
import io.moextend.stage.RoutingStatistics.Load;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;

/** A MoIIE layer whose every figure can be worked out on paper. */
class HandMadeRoutingTest {
  private static final long SEED = 3;

  /**
   * Nothing but a token's own embedding reaches the gates: each id has an axis of its own, and the
   * gates' columns are what is wanted of it.
   */
  private static void handMade(TinyMixture model) {
    int hidden = model.hidden();
    for (String name : List.of("self_attn.o_proj.weight", "mlp.down_proj.weight")) {
      model.fill("model.layers.0." + name, 0);
    }
    model.fill("model.layers.1.self_attn.o_proj.weight", 0);
    model.fill("model.layers.1.post_attention_layernorm.weight", 1);
    float[] embeddings = new float[(int) model.parameter("model.embed_tokens.weight").size()];
    for (int id = 0; id < embeddings.length / hidden; id++) {
      embeddings[id * hidden + id % 4] = 1;
    }
    model.set("model.embed_tokens.weight", embeddings);
    // an image is axis 7, whatever it shows
    model.fill("model.visual.mm_projector.2.weight", 0);
    float[] bias = new float[hidden];
    bias[7] = 1;
    model.set("model.visual.mm_projector.2.bias", bias);
    double ln3 = Math.log(3); // with 0 beside it the weights are 3/4 and 1/4
    model.set(
        "model.layers.1.mlp.gate.weight",
        gate(hidden, Map.of(0, List.of(0.0, ln3, -20.0), 1, List.of(ln3, -20.0, 0.0))));
    model.set(
        "model.layers.1.mlp.gate_vis.weight", gate(hidden, Map.of(7, List.of(0.0, ln3, -20.0))));
  }

  /**
   * [3, hidden].
   *
   * @param logits of a token on each axis; the normed state there is the root of its width
   */
  private static float[] gate(int hidden, Map<Integer, List<Double>> logits) {
    float[] gate = new float[3 * hidden];
    logits.forEach(
        (axis, of) -> {
          for (int e = 0; e < 3; e++) {
            gate[e * hidden + axis] = (float) (of.get(e) / Math.sqrt(hidden));
          }
        });
    return gate;
  }

  @Test
  void gatesMadeByHandGiveTheSharesWorkedOutByHand() {
    try (var model = new TinyMixture("cpu", moiie(), SEED)) {
      handMade(model);
      int[] ids = new int[TinyMixture.LENGTH];
      Arrays.fill(ids, 4, 8, 1); // axis 1: local logits ln 3, -20, 0
      byte[] mask = new byte[ids.length];
      Arrays.fill(mask, 0, 24, (byte) 1);
      var image = new Batch.Image(0, 8, TinyMixture.PATCHES, Path.of("x.png"), "");
      Batch batch = TinyMixture.batch(ids, mask, List.of(image), new Random(SEED));

      RoutingStatistics got = model.statistics(batch);

      // 15 patches look right at a patch; the last is text, and axis 7 of the text gate is empty:
      // it takes the first two of three equals
      assertThat(got.visionTokens()).isEqualTo(15);
      assertThat(got.textTokens()).isEqualTo(9);
      Load vision = got.layers().getFirst().load(TokenGroup.VISION).orElseThrow();
      assertThat(vision.experts().stream().map(ExpertLoad::expert)).containsExactly(0, 1, 2);
      expect(vision, 0, 15, 0.25, 0);
      expect(vision, 1, 15, 0.75, 100);
      expect(vision, 2, 0, 0, 0);
      assertThat(vision.busiest()).containsExactly(0, 1);
      assertThat(vision.entropyBits()).isCloseTo(1, within(1e-12));
      assertThat(vision.evenness()).isCloseTo(1 / (Math.log(3) / Math.log(2)), within(1e-12));
      assertThat(got.groupShares(TokenGroup.VISION))
          .containsExactly(entry("vision-intra", 50.0), entry("inter", 50.0));

      // four of axis 0: experts 2 (3/4) and 1 (1/4); four of axis 1: 1 (3/4) and 3 (1/4); the
      // patch:
      // 1 and 2, a half each
      Load text = got.layers().getFirst().load(TokenGroup.TEXT).orElseThrow();
      assertThat(text.experts().stream().map(ExpertLoad::expert)).containsExactly(1, 2, 3);
      expect(text, 1, 9, (4 * 0.25 + 4 * 0.75 + 0.5) / 9, 100.0 * 5 / 9);
      expect(text, 2, 5, (4 * 0.75 + 0.5) / 5, 100.0 * 4 / 9);
      expect(text, 3, 4, 0.25, 0);
      assertThat(text.busiest()).containsExactly(1, 2);
      assertThat(got.groupShares(TokenGroup.TEXT).get("text-intra"))
          .isCloseTo(100.0 * 4 / 18, within(1e-12));
    }
  }

  private static void expect(Load load, int expert, long slots, double weight, double first) {
    ExpertLoad got = load.expert(expert).orElseThrow();
    assertThat(got.slots()).as("slots of %d", expert).isEqualTo(slots);
    assertThat(got.meanWeight()).as("weight of %d", expert).isCloseTo(weight, within(1e-4));
    assertThat(got.firstChoicePercent()).as("first %d", expert).isCloseTo(first, within(1e-9));
  }

  private static FeedForwardConfig moiie() {
    return new FeedForwardConfig.Mixed(
        24, new TreeSet<>(List.of(1)), new Scheme.Moiie(4, 2, 0.01, 0.02, 0));
  }
}
