package io.moextend.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.moextend.Golden;
import io.moextend.array.DType;
import io.moextend.autograd.Parameter;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider;
import io.moextend.backend.Backends;
import io.moextend.checkpoint.CheckpointFolder;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.data.Batch;
import io.moextend.data.ChatTemplate;
import io.moextend.data.Encoder;
import io.moextend.data.FeatureCache;
import io.moextend.data.ImageRoot;
import io.moextend.data.KeptTurns;
import io.moextend.data.OverLength;
import io.moextend.data.SampleFile;
import io.moextend.data.TrainingSet;
import io.moextend.data.image.ClipPreprocessing;
import io.moextend.data.image.ImageDecoder;
import io.moextend.model.CausalLoss;
import io.moextend.model.OpenModel;
import io.moextend.optim.AdamW;
import io.moextend.optim.Schedule;
import io.moextend.shard.Optimizer;
import io.moextend.shard.ParameterLayout;
import io.moextend.shard.ReplicatedOptimizer;
import io.moextend.shard.ReplicatedOptimizer.Untouched;
import io.moextend.stage.Stage;
import io.moextend.text.ImageTokens;
import io.moextend.text.ImageTokens.SlotContent;
import io.moextend.text.Tokenizer;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Against four steps of Hugging Face's own Trainer on the published model code. */
class RealTrainerTest {
  private static final int PATCHES = 36;

  @TempDir Path folder;

  /** The given batches, one after the other. */
  private static BatchSource<Batch> batches(List<Batch> batches) {
    return new BatchSource<>() {
      private int next;

      @Override
      public Batch next() {
        return batches.get(next++);
      }

      @Override
      public Position position() {
        return new Position(0, next);
      }

      @Override
      public void seek(Position position) {
        next = (int) position.offset();
      }

      @Override
      public List<String> samples(Batch batch) {
        return batch.samples();
      }
    };
  }

  private static List<Batch> read(int[]... rows) throws IOException {
    ImageRoot images = new ImageRoot(Golden.path("moextend/data"));
    try (Tokenizer tokenizer = Tokenizer.open(Golden.path("moextend/tokenizer_tiny"));
        SampleFile file =
            SampleFile.open(Golden.path("moextend/data/train.json"), KeptTurns.ALL, images)) {
      var tokens = new ImageTokens(tokenizer, 440, PATCHES, SlotContent.PATH_BYTES);
      var encoder = new Encoder(tokens, ChatTemplate.INSTRUCT, 112, OverLength.REJECT);
      TrainingSet set =
          TrainingSet.of(
              List.of(file),
              encoder,
              images,
              new ImageDecoder(),
              ClipPreprocessing.read(Golden.path("moextend/vision_align/preprocessor_config.json")),
              112,
              count -> {});
      var read = new ArrayList<Batch>();
      for (int[] row : rows) {
        read.add(set.batch(row));
      }
      return read;
    }
  }

  private List<StepReport> train(
      String backendName,
      Path checkpoint,
      Stage stage,
      List<Batch> batches,
      @Nullable FeatureCache cache) {
    var reports = new ArrayList<StepReport>();
    try (Backend backend = Backends.open(backendName, new BackendProvider.Options(2, 0));
        OpenModel model =
            OpenModel.of(
                CheckpointFolder.open(checkpoint),
                HuggingFaceConfig.read(checkpoint).decoder(),
                backend,
                DType.F32,
                stage.trained(),
                0)) {
      List<Parameter> trained = stage.freezeAllBut(model.decoder());
      try (Optimizer optimizer =
          new ReplicatedOptimizer(
              backend, ParameterLayout.of(trained, 1), AdamW.PUBLISHED, Untouched.SKIP)) {
        var loss = CausalLoss.published(model.decoder().config());
        new Trainer<>(
                new Trainer.Parts<>(
                    backend,
                    new DecoderObjective(backend, model.decoder(), loss, true, cache),
                    batches(batches),
                    List.of(),
                    optimizer,
                    new Schedule.Cosine(1e-3, 1, 4),
                    new CheckpointStore(
                        folder, 1, List.of(new OptimizerFile(backend, optimizer)), Peers.NONE),
                    List.of(reports::add),
                    new LinkedHashMap<>(),
                    folder,
                    Peers.NONE,
                    () -> false,
                    null),
                new TrainPlan(4, 1, 1.0, 0, 0))
            .run();
      }
    }
    return reports;
  }

  @ParameterizedTest
  @CsvSource({
    "nd4j, align, vision_align, ALIGNMENT, false",
    "cpu, align, vision_align, ALIGNMENT, false",
    "nd4j, align, vision_align, ALIGNMENT, true",
    "nd4j, finetune, moextend_ft_rand, FINETUNE, false",
    "cpu, finetune, moextend_ft_rand, FINETUNE, false"
  })
  void lossesNormsAndRatesAreThoseOfTheRealTrainer(
      String backend, String run, String model, Stage stage, boolean cached) throws IOException {
    // The first epoch's order is in the reference file. The second's is not: of all orders this
    // one alone gives the recorded losses, and it is the same in both runs.
    List<Batch> batches =
        run.equals("align")
            ? read(new int[] {0, 2}, new int[] {3, 1}, new int[] {2, 3}, new int[] {1, 0})
            : read(new int[] {0, 2, 3}, new int[] {1}, new int[] {2, 3, 1}, new int[] {0});
    FeatureCache cache =
        cached
            ? new FeatureCache(folder.resolve("features"), "tiny", PATCHES, 24, (e, why) -> {})
            : null;
    List<StepReport> got = train(backend, Golden.path("moextend/" + model), stage, batches, cache);
    JsonNode want =
        new JsonMapper()
            .readTree(Golden.path("moextend/trainer_check.json").toFile())
            .at("/" + run + "/by_hand");
    for (int i = 0; i < 4; i++) {
      JsonNode step = want.get(i);
      StepReport report = got.get(i);
      near(report.losses().loss(), step.get("loss").asDouble());
      near(report.gradientNorm(), step.get("grad_norm").asDouble());
      assertThat(report.learningRate()).isEqualTo(step.get("lr_used").asDouble());
    }
    if (cache != null) {
      assertThat(cache.misses()).as("each of the three images once").isEqualTo(3);
      assertThat(cache.hits()).as("in the second epoch").isEqualTo(3);
    }
  }

  private static void near(double got, double want) {
    assertThat(got).isCloseTo(want, within(2e-5 + 2e-4 * Math.abs(want)));
  }
}
