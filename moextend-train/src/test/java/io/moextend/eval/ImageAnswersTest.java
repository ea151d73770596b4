package io.moextend.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.moextend.Golden;
import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider;
import io.moextend.backend.Backends;
import io.moextend.checkpoint.CheckpointFolder;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.config.VisionConfig;
import io.moextend.data.ImageRoot;
import io.moextend.data.OverLength;
import io.moextend.data.SampleFile;
import io.moextend.data.Talk;
import io.moextend.data.TrainingSet;
import io.moextend.data.image.ClipPreprocessing;
import io.moextend.data.image.ImageDecoder;
import io.moextend.eval.AnswerAccuracy.Answer;
import io.moextend.model.CausalLoss;
import io.moextend.model.ModelInput;
import io.moextend.model.OpenModel;
import io.moextend.model.Watch;
import io.moextend.text.EncodedText;
import io.moextend.text.Tokenizer;
import io.moextend.train.DecoderObjective;
import io.moextend.train.RandomModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A random MoIIE that looks at images at three scales, asked about the golden ones. */
class ImageAnswersTest {
  private static final Path IMAGES = Golden.path("moiie/preprocessing/images");
  private static final int POSITIONS = 512;

  @TempDir Path folder;

  @Test
  void theAnswerAboutAnImageIsThatOfRunningTheWholeSequenceForEachToken() throws IOException {
    try (Opened o = new Opened()) {
      EncodedText asked = o.asked(1);
      assertThat(asked.imagePositions()).hasSize(16);
      float[] pixels = o.preprocessing.pixels(new ImageDecoder().read(IMAGES.resolve("tall.png")));
      int[] prompt = asked.ids();
      int[] slots = asked.imagePositions();
      int[] ids = Arrays.copyOf(prompt, prompt.length + 10);
      for (int n = prompt.length; n < ids.length; n++) {
        ids[n] = o.behind(Arrays.copyOf(ids, n), pixels, slots);
      }
      int[] answer =
          new Greedy(o.backend, o.model.decoder())
              .extend(prompt, new Greedy.Pictures(pixels, slots), 10, _ -> false, _ -> {});
      assertThat(answer).containsExactly(Arrays.copyOfRange(ids, prompt.length, ids.length));
      int other = o.behind(prompt, new float[pixels.length], slots);
      float[] seen = o.logits(prompt, pixels, slots);
      assertThat(o.logits(prompt, new float[pixels.length], slots))
          .as("the image is looked at; likeliest %d and %d", answer[0], other)
          .isNotEqualTo(seen);
    }
  }

  @Test
  void answersAreReadBetweenTheSignsOfTheTemplateWhateverStandsBeside() throws IOException {
    try (Opened o = new Opened()) {
      var accuracy = new AnswerAccuracy(o.backend, o.model.decoder(), o.tokenizer);
      List<Answer> alone = accuracy.answers(o.set, 1);
      assertThat(alone)
          .extracting(Answer::expected)
          .extracting(String::strip)
          .containsExactly(
              "a red tin on the hat",
              "an ant in there",
              "two of them.",
              "yes and no",
              "Yes.",
              "The end\nof line.");
      assertThat(alone).extracting(Answer::sample).containsExactly("0", "1", "1", "2", "2", "3");
      assertThat(accuracy.answers(o.set, 4)).isEqualTo(alone);
      assertThat(o.perplexity(3).value()).isCloseTo(o.perplexity(1).value(), within(1e-2));
      assertThat(o.perplexity(1).positions()).isEqualTo(o.perplexity(3).positions()).isPositive();
    }
  }

  private final class Opened implements AutoCloseable {
    private final Backend backend = Backends.open("cpu", new BackendProvider.Options(1, 0));
    private final Tokenizer tokenizer;
    private final SampleFile file;
    private final OpenModel model;
    private final TrainingSet set;
    private final Talk talk;
    private final ClipPreprocessing preprocessing;
    private final VisionConfig vision;

    @SuppressWarnings("MustBeClosedChecker") // closed by close()
    Opened() throws IOException {
      ObjectNode json = HuggingFaceConfig.read(Golden.path("moiie/moiie_phi3")).json();
      json.put("vocab_size", 480).put("max_position_embeddings", POSITIONS);
      json.put("original_max_position_embeddings", POSITIONS).put("initializer_range", 0.2);
      Path shape = Files.writeString(folder.resolve("config.json"), json.toString());
      HuggingFaceConfig config = HuggingFaceConfig.read(shape);
      Path weights = folder.resolve("model");
      RandomModel.write(backend, config, DType.F32, 7, List.of(), weights);
      model =
          OpenModel.of(
              CheckpointFolder.open(weights), config.decoder(), backend, DType.F32, Set.of(), 0);
      vision = Objects.requireNonNull(config.decoder().vision());
      talk = Talk.named(Talk.AUTO, config.decoder().type());
      tokenizer = talk.open(Golden.path("moiie/tokenizers/tok_phi3"));
      var root = new ImageRoot(IMAGES);
      file = SampleFile.open(Golden.path("moiie/preprocessing/train.json"), talk.kept(), root);
      preprocessing = ClipPreprocessing.siglip(vision.imageSize());
      set =
          TrainingSet.of(
              List.of(file),
              talk.rows(tokenizer, vision, 256, OverLength.REJECT),
              root,
              new ImageDecoder(),
              preprocessing,
              0,
              _ -> {});
    }

    EncodedText asked(int sample) {
      return talk.prompts(tokenizer, vision, POSITIONS).prompt(file.read(sample));
    }

    Perplexity perplexity(int rows) {
      CausalLoss loss = CausalLoss.published(model.decoder().config());
      var objective = new DecoderObjective(backend, model.decoder(), loss, false, null);
      return Perplexity.of(objective, set.batches(rows));
    }

    int behind(int[] ids, float[] pixels, int[] slots) {
      float[] logits = logits(ids, pixels, slots);
      int best = 0;
      for (int v = 1; v < logits.length; v++) {
        best = logits[v] > logits[best] ? v : best;
      }
      return best;
    }

    /** Behind a sequence's last token, from one pass over all of it. */
    float[] logits(int[] ids, float[] pixels, int[] slots) {
      int size = vision.imageSize();
      try (Arena arena = backend.arena("behind")) {
        var images =
            new ModelInput.Images.Pixels(
                backend.floats(arena, DType.F32, pixels, 1, 3, size, size),
                backend.ints(arena, slots, slots.length));
        var input =
            new ModelInput(
                1, ids.length, backend.ints(arena, ids, ids.length), null, images, List.of());
        Tape tape = Tape.off(backend, arena);
        Tensor hidden = model.decoder().forward(tape, input, false, Watch.NONE).hidden();
        Array last = hidden.data().slice(ids.length - 1L, ids.length);
        return backend.toFloats(arena, model.decoder().logits(tape, Tensor.constant(last)).data());
      }
    }

    @Override
    public void close() {
      file.close();
      tokenizer.close();
      model.close();
      backend.close();
    }
  }
}
