package io.moextend.shard;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.Golden;
import io.moextend.array.DType;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider;
import io.moextend.backend.Backends;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.data.Batch;
import io.moextend.shard.LayeredRank.Plan;
import io.moextend.stage.Stage;
import io.moextend.train.RandomModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

@Timeout(120)
class LayerShardsTest {
  private static final int STEPS = 3;

  @TempDir Path folder;

  /** What a rank saw and left. */
  private record Trained(double[][] losses, double evaluated, float[][] weights) {}

  /** Rank 0's first micro-batch has no image. */
  private static Batch batch(int step, int rank, int micro) {
    return LayeredRank.batch(
        step * 100L + rank * 10 + micro, 1 + rank % 2, 440, rank != 0 || micro != 0);
  }

  private static List<Trained> train(Plan plan, int world) {
    return Ranks.run(
        Watched.group(world, Duration.ofSeconds(50)),
        collective -> {
          try (var rank = new LayeredRank(plan, collective)) {
            var losses = new ArrayList<double[]>();
            double evaluated = 0;
            for (int step = 0; step < STEPS; step++) {
              losses.add(
                  rank.step(batch(step, collective.rank(), 0), batch(step, collective.rank(), 1)));
              evaluated += rank.objective.evaluate(batch(9, collective.rank(), 1)).loss();
            }
            return new Trained(losses.toArray(double[][]::new), evaluated, rank.weights());
          }
        });
  }

  @ParameterizedTest
  @CsvSource({
    "cpu, vision_align, ALIGNMENT, F32, 1, true, true",
    "cpu, vision_align, ALIGNMENT, F32, 2, true, false",
    "cpu, vision_align, ALIGNMENT, F32, 3, false, true",
    "cpu, vision_gate, EXTENSION, F32, 2, true, true",
    "cpu, vision_gate, EXTENSION, BF16, 4, true, false",
    "cpu, moextend_ft_rand, FINETUNE, F32, 2, false, false",
    "cpu, moextend_ft_rand, FINETUNE, F32, 3, true, true",
    "cpu, moextend_ft_rand, FINETUNE, BF16, 2, true, true",
    "cpu, moextend_ft_rand, FULL, F32, 4, true, false",
    "cpu, moextend_ft_rand, FULL, F32, 2, true, true",
    "nd4j, moextend_ft_rand, FINETUNE, F32, 2, true, true"
  })
  void lossesAndWeightsAreThoseOfWholeLayersBitForBit(
      String backend,
      String model,
      Stage stage,
      DType dtype,
      int world,
      boolean frozen,
      boolean checkpointing) {
    var plan =
        new Plan(
            backend,
            Golden.path("moextend/" + model),
            stage,
            dtype,
            ZeroStage.WEIGHTS,
            frozen,
            checkpointing);
    List<Trained> got = train(plan, world);
    List<Trained> wanted = train(plan.zero(ZeroStage.GRADIENTS), world);
    for (int rank = 0; rank < world; rank++) {
      assertThat(got.get(rank).losses()).isDeepEqualTo(wanted.get(rank).losses());
      assertThat(got.get(rank).evaluated()).isEqualTo(wanted.get(rank).evaluated());
      assertThat(got.get(rank).weights()).isDeepEqualTo(wanted.get(rank).weights());
    }
    assertThat(got.getFirst().losses()[0]).isNotEqualTo(got.getFirst().losses()[STEPS - 1]);
  }

  @Test
  void everyRankSaysTheSameWhateverItsBatch() {
    var plan =
        new Plan(
            "cpu",
            Golden.path("moextend/vision_align"),
            Stage.ALIGNMENT,
            DType.F32,
            ZeroStage.WEIGHTS,
            true,
            true);
    List<Watched> group = Watched.group(2);
    Ranks.run(
        group,
        collective -> {
          try (var rank = new LayeredRank(plan, collective)) {
            return rank.step(LayeredRank.batch(1, 1, 440, collective.rank() == 1));
          }
        });
    assertThat(group.get(0).calls()).isEqualTo(group.get(1).calls());
    assertThat(group.get(0).calls().stream().filter(c -> c.contains("weights of layer")))
        .containsExactly(
            "frozen weights of layer 0",
            "frozen weights of layer 1",
            "frozen weights of layer 2",
            "frozen weights of layer 0");
  }

  @Test
  void weightsThatAreNotHereSayWhy() {
    var plan =
        new Plan(
            "cpu",
            Golden.path("moextend/moextend_ft_rand"),
            Stage.FINETUNE,
            DType.F32,
            ZeroStage.WEIGHTS,
            true,
            false);
    Ranks.run(
        Watched.group(1),
        collective -> {
          try (var rank = new LayeredRank(plan, collective)) {
            assertThatThrownBy(() -> rank.trained.getLast().data())
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("model.layers.2.")
                .hasMessageContaining("gather them first");
            return true;
          }
        });
  }

  /** Eight layers of 1.9 MB in F32. */
  private Path eightLayers() throws IOException {
    Path source = folder.resolve("source");
    Files.createDirectories(source);
    Files.writeString(
        source.resolve("config.json"),
        """
        {"architectures": ["MixtralForCausalLM"], "model_type": "mixtral", "vocab_size": 64,
         "hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 8,
         "num_attention_heads": 4, "num_key_value_heads": 4, "num_local_experts": 4,
         "num_experts_per_tok": 2, "max_position_embeddings": 64, "rms_norm_eps": 1e-05,
         "rope_theta": 10000.0, "router_aux_loss_coef": 0.001, "hidden_act": "silu",
         "initializer_range": 0.02, "sliding_window": null, "tie_word_embeddings": false,
         "bos_token_id": 1, "eos_token_id": 2, "torch_dtype": "float32"}
        """);
    Path made = folder.resolve("model");
    try (Backend backend = Backends.open("cpu", new BackendProvider.Options(1, 0))) {
      RandomModel.write(backend, HuggingFaceConfig.read(source), DType.F32, 3, List.of(), made);
    }
    return made;
  }

  @ParameterizedTest
  @CsvSource({"EXTENSION, true", "EXTENSION, false", "FULL, true"})
  void aRankHoldsItsShareAndThreeLayers(Stage stage, boolean checkpointing) throws IOException {
    var plan =
        new Plan("cpu", eightLayers(), stage, DType.F32, ZeroStage.WEIGHTS, true, checkpointing);
    long layer = 4L * (4 * 3 * 128 * 256 + 4 * 128 * 128);
    int world = 2;
    Ranks.run(
        Watched.group(world),
        collective -> {
          try (var rank = new LayeredRank(plan, collective)) {
            Batch tiny = LayeredRank.batch(collective.rank(), 1, 64, false);
            rank.step(tiny);
            rank.backend.memory().resetPeak();
            long before = rank.backend.memory().liveBytes();
            rank.step(tiny);
            long added = rank.backend.memory().peakBytes() - before;
            long held = Objects.requireNonNull(rank.layers).bytes();
            assertThat(held).isLessThan(8 * layer / world + 2 * layer + layer / 4);
            // a layer packed for both products, and what even a tiny batch computes
            assertThat(added).isLessThan(2 * layer + (checkpointing ? 3 : 5) * layer / 2);
            return true;
          }
        });
  }

  @Test
  void twoHundredStepsAddNothing() {
    var plan =
        new Plan(
            "cpu",
            Golden.path("moextend/moextend_ft_rand"),
            Stage.FINETUNE,
            DType.F32,
            ZeroStage.WEIGHTS,
            true,
            false);
    Ranks.run(
        Watched.group(2),
        collective -> {
          try (var rank = new LayeredRank(plan, collective)) {
            Batch tiny = LayeredRank.batch(collective.rank(), 1, 440, collective.rank() == 0);
            rank.step(tiny);
            long live = rank.backend.memory().liveBytes();
            long buffers = collective.bytes();
            for (int step = 1; step < 200; step++) {
              rank.step(tiny);
            }
            assertThat(rank.backend.memory().liveBytes()).isEqualTo(live);
            assertThat(collective.bytes()).isEqualTo(buffers);
            return true;
          }
        });
  }
}
