package io.moextend.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.moextend.array.Arena;
import io.moextend.array.DType;
import io.moextend.autograd.Tape;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider;
import io.moextend.backend.Backends;
import io.moextend.backend.LossKernels.BalanceForm;
import io.moextend.checkpoint.CheckpointFolder;
import io.moextend.config.DecoderConfig;
import io.moextend.config.FeedForwardConfig;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.data.ChatTemplate;
import io.moextend.data.EncodedSample;
import io.moextend.data.Encoder;
import io.moextend.data.ImageRoot;
import io.moextend.data.KeptTurns;
import io.moextend.data.OverLength;
import io.moextend.data.SampleFile;
import io.moextend.data.TrainingSet;
import io.moextend.data.image.ClipPreprocessing;
import io.moextend.data.image.ImageDecoder;
import io.moextend.demo.DemoTokenizer;
import io.moextend.eval.AnswerAccuracy.Answer;
import io.moextend.model.CausalLoss;
import io.moextend.model.ModelInput;
import io.moextend.model.OpenModel;
import io.moextend.model.Watch;
import io.moextend.text.ImageTokens;
import io.moextend.text.Tokenizer;
import io.moextend.train.DecoderObjective;
import io.moextend.train.RandomModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AnswerAccuracyTest {
  private static final int VOCAB = 160;

  @TempDir Path folder;

  @Test
  void answersAreTheGreedyWordsWhateverTheBatch() throws IOException {
    try (Opened o = new Opened(0.5)) {
      List<Answer> answers =
          new AnswerAccuracy(o.backend, o.model.decoder(), o.tokenizer).answers(o.set, 2);
      assertThat(answers)
          .extracting(Answer::sample)
          .containsExactly("colour-1", "colour-1", "size-2", "talk-3");
      assertThat(answers)
          .extracting(Answer::expected)
          .containsExactly("red", "circle", "large", "a small cross");
      List<String> greedy = new ArrayList<>();
      for (int i = 0; i < o.set.size(); i++) {
        greedy.addAll(o.greedy(o.set.encoded(i)));
      }
      assertThat(answers).extracting(Answer::given).isEqualTo(greedy);
      assertThat(answers)
          .allSatisfy(a -> assertThat(a.right()).isEqualTo(a.given().equals(a.expected())));
    }
  }

  @Test
  void aModelThatKnowsNothingHasThePerplexityOfItsVocabulary() throws IOException {
    try (Opened o = new Opened(1e-9)) {
      assertThat(o.perplexity().value()).isCloseTo(VOCAB, within(1e-3));
    }
  }

  @Test
  void perplexityIsThatOfEachLabelledTokenCountedOnce() throws IOException {
    try (Opened o = new Opened(0.5)) {
      double nats = 0;
      int positions = 0;
      for (int i = 0; i < o.set.size(); i++) {
        EncodedSample row = o.set.encoded(i);
        float[] logits = o.logits(row);
        for (int t = 1; t < row.length(); t++) {
          if (row.labels()[t] >= 0) {
            nats -= logProbability(logits, (t - 1) * VOCAB, row.labels()[t]);
            positions++;
          }
        }
      }
      Perplexity measured = o.perplexity();
      assertThat(measured.positions()).isEqualTo(positions).isEqualTo(9);
      assertThat(measured.value()).isCloseTo(Math.exp(nats / positions), within(1e-3));
    }
  }

  @Test
  void chanceIsTheMostFrequentAnswer() {
    List<Answer> answers =
        List.of(
            new Answer("colour-1", "red", "red", true),
            new Answer("size-1", "large", "small", false),
            new Answer("colour-2", "red", "blue", false),
            new Answer("colour-3", "blue", "blue", true));
    assertThat(AnswerAccuracy.chance(answers)).isEqualTo(0.5);
    assertThat(AnswerAccuracy.share(answers)).isEqualTo(0.5);
    assertThat(AnswerAccuracy.byKind(answers).keySet()).containsExactly("colour", "size");
    assertThat(AnswerAccuracy.chance(AnswerAccuracy.byKind(answers).get("colour")))
        .isCloseTo(2 / 3.0, within(1e-12));
  }

  private static double logProbability(float[] logits, int from, int token) {
    double sum = 0;
    for (int v = 0; v < VOCAB; v++) {
      sum += Math.exp((double) logits[from + v] - logits[from + token]);
    }
    return -Math.log(sum);
  }

  /** A random model and three samples of unlike length. */
  private final class Opened implements AutoCloseable {
    private final Backend backend = Backends.open("nd4j", new BackendProvider.Options(1, 0));
    private final Tokenizer tokenizer;
    private final SampleFile file;
    private final OpenModel model;
    private final TrainingSet set;

    @SuppressWarnings("MustBeClosedChecker") // closed by close()
    Opened(double range) throws IOException {
      DemoTokenizer.INSTRUCTIONS.write(folder);
      tokenizer = Tokenizer.open(folder);
      Path samples = folder.resolve("samples.json");
      Files.writeString(samples, SAMPLES);
      file = SampleFile.open(samples, KeptTurns.ALL, null);
      DecoderConfig config =
          new DecoderConfig(
              "mixtral",
              VOCAB,
              16,
              2,
              new DecoderConfig.Heads(2, 1, 8),
              new DecoderConfig.Rope(10_000, 64),
              0,
              1e-5,
              range,
              false,
              new FeedForwardConfig.Experts(16, 4, 2, new TreeSet<>(), 0.01),
              new DecoderConfig.SpecialTokens(1, 2, 2),
              null);
      Path weights = folder.resolve("model");
      RandomModel.write(backend, HuggingFaceConfig.of(config), DType.F32, 7, List.of(), weights);
      model = OpenModel.of(CheckpointFolder.open(weights), config, backend, DType.F32, Set.of(), 0);
      var tokens =
          new ImageTokens(
              tokenizer, DemoTokenizer.INSTRUCTIONS.imageId(), 1, ImageTokens.SlotContent.PADS);
      set =
          TrainingSet.of(
              List.of(file),
              new Encoder(tokens, ChatTemplate.INSTRUCT, 64, OverLength.REJECT),
              new ImageRoot(folder),
              new ImageDecoder(),
              ClipPreprocessing.clip(1),
              0,
              _ -> {});
    }

    Perplexity perplexity() {
      var loss = new CausalLoss(BalanceForm.PER_LAYER, 0);
      var objective = new DecoderObjective(backend, model.decoder(), loss, false, null);
      return Perplexity.of(objective, set.batches(2));
    }

    float[] logits(EncodedSample row) {
      try (Arena arena = backend.arena("one row")) {
        Tape tape = Tape.off(backend, arena);
        var input =
            new ModelInput(
                1,
                row.length(),
                backend.ints(arena, row.ids(), row.length()),
                null,
                null,
                List.of());
        var output = model.decoder().forward(tape, input, false, Watch.NONE);
        return backend.toFloats(arena, model.decoder().logits(tape, output.hidden()).data());
      }
    }

    /** Answer by answer, the most likely word at each place. */
    List<String> greedy(EncodedSample row) {
      float[] logits = logits(row);
      List<String> answers = new ArrayList<>();
      List<Integer> words = new ArrayList<>();
      for (int t = 1; t <= row.length(); t++) {
        boolean learnt = t < row.length() && row.labels()[t] >= 0;
        if (learnt && row.labels()[t] != tokenizer.eos()) {
          words.add(argmax(logits, (t - 1) * VOCAB));
        } else if (!learnt && !words.isEmpty()) {
          answers.add(tokenizer.decode(words.stream().mapToInt(Integer::intValue).toArray()));
          words.clear();
        }
      }
      return answers;
    }

    private static int argmax(float[] logits, int from) {
      int best = 0;
      for (int v = 1; v < VOCAB; v++) {
        best = logits[from + v] > logits[from + best] ? v : best;
      }
      return best;
    }

    @Override
    public void close() {
      model.close();
      file.close();
      tokenizer.close();
      backend.close();
    }
  }

  private static final String SAMPLES =
      """
      [{"id": "colour-1", "conversations": [
         {"from": "human", "value": "there is a red circle . what colour is it ?"},
         {"from": "gpt", "value": "red"},
         {"from": "human", "value": "what shape is it ?"},
         {"from": "gpt", "value": "circle"}]},
       {"id": "size-2", "conversations": [
         {"from": "human", "value": "what size is a house ?"},
         {"from": "gpt", "value": "large"}]},
       {"id": "talk-3", "conversations": [
         {"from": "human", "value": "describe the image ."},
         {"from": "gpt", "value": "a small cross"}]}]
      """;
}
