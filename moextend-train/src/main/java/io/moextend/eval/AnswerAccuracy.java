package io.moextend.eval;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Backend;
import io.moextend.data.Batch;
import io.moextend.data.EncodedSample;
import io.moextend.data.TrainingSet;
import io.moextend.model.Decoder;
import io.moextend.model.Watch;
import io.moextend.text.Tokenizer;
import io.moextend.train.BatchImages;
import io.moextend.train.BatchOnDevice;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import java.util.stream.IntStream;

/**
 * Asks a model every question of some samples and compares its words with the true ones. The most
 * likely token is taken at each place (greedy), and an answer is right where every one of its
 * tokens is; what closes it does not count. One forward pass gives all of it: greedy decoding
 * reaches the true answer exactly where each of its tokens is the most likely one behind the true
 * ones before it.
 */
public final class AnswerAccuracy {
  private final Backend backend;
  private final Decoder model;
  private final Tokenizer tokenizer;
  private final BatchImages images;

  /**
   * One question's answer.
   *
   * @param sample the sample's id; those of several turns come several times
   * @param expected the true answer
   * @param given the model's most likely token at each place of it
   * @param right whether all tokens agree
   */
  public record Answer(String sample, String expected, String given, boolean right) {
    /** What stands in the id before the first "-": the kind of the question. */
    public String kind() {
      int dash = sample.indexOf('-');
      return dash < 0 ? sample : sample.substring(0, dash);
    }
  }

  public AnswerAccuracy(Backend backend, Decoder model, Tokenizer tokenizer) {
    this.backend = backend;
    this.model = model;
    this.tokenizer = tokenizer;
    this.images = new BatchImages(backend, model, null);
  }

  /** Share of right answers, 0 to 1; 0 of none. */
  public static double share(List<Answer> answers) {
    return answers.stream().mapToInt(a -> a.right() ? 1 : 0).average().orElse(0);
  }

  /** What someone reaches who always gives the most frequent true answer; 0 of none. */
  public static double chance(List<Answer> answers) {
    var counts = new HashMap<String, Integer>();
    answers.forEach(a -> counts.merge(a.expected(), 1, Integer::sum));
    return answers.isEmpty() ? 0 : Collections.max(counts.values()) / (double) answers.size();
  }

  /** The answers by kind of question, in the order the kinds first come. */
  public static SequencedMap<String, List<Answer>> byKind(List<Answer> answers) {
    var kinds = new LinkedHashMap<String, List<Answer>>();
    answers.forEach(a -> kinds.computeIfAbsent(a.kind(), _ -> new ArrayList<>()).add(a));
    return kinds;
  }

  /**
   * @param rows samples of a batch
   * @return all answers in the samples' order
   */
  public List<Answer> answers(TrainingSet samples, int rows) {
    var answers = new ArrayList<Answer>();
    for (int from = 0; from < samples.size(); from += rows) {
      int[] indexes = IntStream.range(from, Math.min(samples.size(), from + rows)).toArray();
      Batch batch = samples.batch(indexes);
      int[] likeliest = likeliest(batch);
      int at = 0;
      for (int row = 0; row < indexes.length; row++) {
        at = read(samples.encoded(indexes[row]), samples.answerEnd(), likeliest, at, answers);
      }
    }
    return answers;
  }

  /** The most likely token at each labelled position behind a row's first, row after row. */
  private int[] likeliest(Batch batch) {
    try (Arena arena = backend.arena("answers")) {
      Tape tape = Tape.off(backend, arena);
      BatchOnDevice on = BatchOnDevice.of(backend, arena, batch, images.of(arena, batch));
      Decoder.Output output = model.forward(tape, on.input(), false, Watch.NONE);
      Array hidden = backend.gatherRows(arena, output.hidden().data(), on.labels().rows());
      Array logits = model.logits(tape, Tensor.constant(hidden)).data();
      Array wide = logits.dtype() == DType.F32 ? logits : backend.cast(arena, logits, DType.F32);
      return backend.toInts(backend.topK(arena, wide, 1));
    }
  }

  /** Cuts one row's positions into answers: runs of labels without the closing end. */
  private int read(EncodedSample row, int close, int[] likeliest, int from, List<Answer> answers) {
    int at = from;
    int[] expected = new int[row.length()];
    int[] given = new int[row.length()];
    int run = 0;
    for (int t = 1; t <= row.length(); t++) {
      int label = t == row.length() ? EncodedSample.IGNORED : row.labels()[t];
      if (label >= 0) {
        int likely = likeliest[at++];
        if (label != close) {
          expected[run] = label;
          given[run++] = likely;
        }
      } else if (run > 0) {
        answers.add(
            answer(row.sample().id(), Arrays.copyOf(expected, run), Arrays.copyOf(given, run)));
        run = 0;
      }
    }
    return at;
  }

  private Answer answer(String sample, int[] expected, int[] given) {
    return new Answer(
        sample,
        tokenizer.decode(expected),
        tokenizer.decode(given),
        Arrays.equals(expected, given));
  }
}
