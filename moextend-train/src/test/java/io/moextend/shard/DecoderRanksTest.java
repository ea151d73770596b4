package io.moextend.shard;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.moextend.Golden;
import io.moextend.array.DType;
import io.moextend.autograd.Parameter;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider;
import io.moextend.backend.Backends;
import io.moextend.checkpoint.CheckpointFolder;
import io.moextend.comm.device.Conversation;
import io.moextend.comm.device.HostWire;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.data.Batch;
import io.moextend.model.CausalLoss;
import io.moextend.model.OpenModel;
import io.moextend.optim.AdamW;
import io.moextend.shard.ReplicatedOptimizer.Untouched;
import io.moextend.stage.Stage;
import io.moextend.train.DecoderObjective;
import io.moextend.train.Losses;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A real model, trained by several ranks and by one. */
@Timeout(120)
class DecoderRanksTest {
  private static final int LENGTH = 48;
  private static final int PATCHES = 36;
  private static final int STEPS = 5;

  /** What works on a model: one rank, or the oracle. */
  private record Trainee(Backend backend, OpenModel model, DecoderObjective objective) {
    List<Parameter> parameters() {
      return model.decoder().parameters().stream().filter(Parameter::requiresGrad).toList();
    }

    float[] weights() {
      var all = new ArrayList<float[]>();
      for (Parameter p : parameters()) {
        float[] values = new float[(int) p.data().size()];
        backend.copyOut(p.data(), MemorySegment.ofArray(values));
        all.add(values);
      }
      float[] flat = new float[all.stream().mapToInt(a -> a.length).sum()];
      int at = 0;
      for (float[] one : all) {
        System.arraycopy(one, 0, flat, at, one.length);
        at += one.length;
      }
      return flat;
    }
  }

  @FunctionalInterface
  private interface Work {
    float[] of(Trainee trainee);
  }

  private static float[] with(Stage stage, Work work) {
    Path folder = Golden.path("moextend/moextend_ft_rand");
    try (Backend backend = Backends.open("cpu", new BackendProvider.Options(1, 0));
        OpenModel model =
            OpenModel.of(
                CheckpointFolder.open(folder),
                HuggingFaceConfig.read(folder).decoder(),
                backend,
                DType.F32,
                stage.trained(),
                0)) {
      stage.freezeAllBut(model.decoder());
      var loss = CausalLoss.published(model.decoder().config());
      return work.of(
          new Trainee(
              backend, model, new DecoderObjective(backend, model.decoder(), loss, true, null)));
    }
  }

  /** A row of random tokens, with an image or without. */
  private static Batch batch(int step, int rank, boolean image) {
    var random = new Random(31L * step + rank);
    int[] ids = random.ints(LENGTH, 3, 430).toArray();
    byte[] mask = new byte[LENGTH];
    Arrays.fill(mask, (byte) 1);
    int[] labels = ids.clone();
    Arrays.fill(labels, 0, PATCHES + 4, -100);
    float[] pixels = new float[image ? 3 * 24 * 24 : 0];
    for (int i = 0; i < pixels.length; i++) {
      pixels[i] = (float) random.nextGaussian();
    }
    List<Batch.Image> images =
        image ? List.of(new Batch.Image(0, 2, PATCHES, Path.of("an-image"), "0")) : List.of();
    return new Batch(
        1, LENGTH, ids, labels, mask, pixels, 24, images, List.of("random"), LENGTH - PATCHES - 4);
  }

  private static boolean image(Stage stage, int step, int rank) {
    return stage != Stage.FULL && (step + rank) % 2 == 0;
  }

  private static float[] oracle(Stage stage, int world) {
    return with(
        stage,
        trainee -> {
          ParameterLayout layout = ParameterLayout.of(trainee.parameters(), 1);
          try (var optimizer =
              new ReplicatedOptimizer(
                  trainee.backend(), layout, AdamW.PUBLISHED, Untouched.ZERO_GRADIENT)) {
            for (int step = 0; step < STEPS; step++) {
              for (int rank = 0; rank < world; rank++) {
                Losses ignored =
                    trainee
                        .objective()
                        .backpropagate(
                            optimizer.gradients(true),
                            batch(step, rank, image(stage, step, rank)),
                            1.0 / world);
              }
              optimizer.step(1e-3, 1);
            }
            return trainee.weights();
          }
        });
  }

  private static float[] rank(Stage stage, ZeroStage zero, Watched collective) {
    return with(
        stage,
        trainee -> {
          var units = ParameterLayout.trained(trainee.model().decoder().units());
          ParameterLayout layout = ParameterLayout.of(units, collective.world(), 64 << 10);
          var settings = ShardedOptimizer.Settings.of(zero, Untouched.ZERO_GRADIENT, layout);
          try (var conversation = new Conversation(new HostWire(trainee.backend(), collective));
              var optimizer =
                  new ShardedOptimizer(
                      trainee.backend(), conversation, layout, AdamW.PUBLISHED, settings)) {
            for (int step = 0; step < STEPS; step++) {
              Losses losses =
                  trainee
                      .objective()
                      .backpropagate(
                          optimizer.gradients(true),
                          batch(step, collective.rank(), image(stage, step, collective.rank())),
                          1.0 / collective.world());
              if (stage == Stage.FULL && step == 0) {
                conversation.quiet();
                long sent =
                    collective.calls().stream().filter(c -> c.startsWith("gradients of")).count();
                // the first unit's own bucket alone has to wait for the end
                assertThat(sent).isEqualTo(layout.buckets().size() - 1).isPositive();
              }
              double[][] all = conversation.gather("losses", losses.loss());
              assertThat(all).hasDimensions(collective.world(), 1);
              optimizer.step(1e-3, 1);
            }
            return trainee.weights();
          } finally {
            collective.close();
          }
        });
  }

  @ParameterizedTest
  @CsvSource({"FULL, 2", "FINETUNE, 3", "ALIGNMENT, 2"})
  void ranksLearnWhatOneLearnsFromAllTheirBatches(Stage stage, int world) {
    float[] wanted = oracle(stage, world);
    float[] first = {};
    for (ZeroStage zero : List.of(ZeroStage.NONE, ZeroStage.OPTIMIZER, ZeroStage.GRADIENTS)) {
      List<float[]> got =
          Ranks.run(Watched.group(world), collective -> rank(stage, zero, collective));
      for (float[] weights : got) {
        assertThat(weights).as("%s", zero).isEqualTo(first.length == 0 ? got.getFirst() : first);
      }
      first = got.getFirst();
      double most = 0;
      for (int i = 0; i < wanted.length; i++) {
        most = Math.max(most, Math.abs(first[i] - wanted[i]) / (1e-2 + Math.abs(wanted[i])));
      }
      assertThat(most).as("largest relative difference at %s", zero).isCloseTo(0, within(1e-5));
    }
    List<float[]> again =
        Ranks.run(Watched.group(world), collective -> rank(stage, ZeroStage.GRADIENTS, collective));
    assertThat(again.getLast()).as("another run").isEqualTo(first);
  }
}
