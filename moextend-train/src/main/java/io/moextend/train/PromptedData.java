package io.moextend.train;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.config.ConfigException;
import io.moextend.data.Share;
import io.moextend.data.prompted.Examples;
import io.moextend.data.prompted.Mixture;
import io.moextend.data.prompted.PromptTokens;
import io.moextend.data.prompted.PromptedBatch;
import io.moextend.data.prompted.PromptedBatches;
import io.moextend.data.prompted.RowLayout;
import io.moextend.data.prompted.TaskList;
import io.moextend.data.prompted.TokenPair;
import io.moextend.text.Tokenizer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** A run's prompted tasks: what is drawn from, and what it is evaluated on. */
public final class PromptedData implements AutoCloseable {
  private final AdaptConfig config;
  private final PromptTokens tokens;
  private final Path scratch;
  private final Mixture mixture;
  private final List<PromptedBatch> evaluation;

  private PromptedData(
      AdaptConfig config,
      PromptTokens tokens,
      Path scratch,
      Mixture mixture,
      List<PromptedBatch> evaluation) {
    this.config = config;
    this.tokens = tokens;
    this.scratch = scratch;
    this.mixture = mixture;
    this.evaluation = evaluation;
  }

  /**
   * @param vocabulary of the model
   */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // handed to the caller, who closes it
  public static PromptedData open(AdaptConfig config, Tokenizer tokenizer, int vocabulary) {
    PromptedSection data = config.data();
    var tokens = new PromptTokens(tokenizer, vocabulary, data.inputsLength(), data.targetsLength());
    Path scratch = scratch();
    Mixture mixture = null;
    try {
      mixture = Mixture.open(TaskList.read(data.mixture(), data.root()), scratch);
      return new PromptedData(
          config, tokens, scratch, mixture, evaluation(config, tokens, scratch));
    } catch (RuntimeException e) {
      if (mixture != null) {
        mixture.close();
      }
      remove(scratch);
      throw e;
    }
  }

  private static Path scratch() {
    try {
      return Files.createTempDirectory("moextend-examples");
    } catch (IOException e) {
      throw new UncheckedIOException("no folder for unpacked files: " + e.getMessage(), e);
    }
  }

  /** Every example once, in the list's order; they are few enough to be kept. */
  private static List<PromptedBatch> evaluation(
      AdaptConfig config, PromptTokens tokens, Path scratch) {
    Path list = config.data().evalMixture();
    if (list == null || config.evaluation().evalSteps() == 0) {
      return List.of();
    }
    var pairs = new ArrayList<TokenPair>();
    try (Mixture mixture = Mixture.open(TaskList.read(list, config.data().root()), scratch)) {
      for (Mixture.Part part : mixture.parts()) {
        Examples examples = part.examples();
        for (int i = 0; i < examples.size(); i++) {
          tokens.encode(examples.read(i)).ifPresent(pairs::add);
        }
      }
    }
    if (pairs.isEmpty()) {
      throw new ConfigException(
          "data.eval_mixture", list, "no example has both an input and a target");
    }
    var layout = layout(config, RowLayout.Kind.LONGEST);
    int each = config.evaluation().perDeviceEvalBatchSize();
    var batches = new ArrayList<PromptedBatch>();
    for (int from = 0; from < pairs.size(); from += each) {
      List<List<TokenPair>> rows =
          pairs.subList(from, Math.min(from + each, pairs.size())).stream().map(List::of).toList();
      batches.add(PromptedBatch.of(rows, layout));
    }
    return batches;
  }

  private static RowLayout layout(AdaptConfig config, RowLayout.Kind kind) {
    return new RowLayout(kind, config.data().inputsLength(), config.data().targetsLength());
  }

  /** Micro-batches without end, made ahead. */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // handed to the caller, who closes it
  public PromptedBatches batches(Share share) {
    RowLayout.Kind kind = config.data().packing() ? RowLayout.Kind.PACKED : RowLayout.Kind.LONGEST;
    return new PromptedBatches(
        mixture,
        tokens,
        layout(config, kind),
        share,
        config.training().seed(),
        Math.max(1, config.data().dataloaderNumWorkers()));
  }

  /** None where none was asked for. */
  public List<PromptedBatch> evaluation() {
    return evaluation;
  }

  @Override
  public void close() {
    mixture.close();
    remove(scratch);
  }

  private static void remove(Path scratch) {
    try {
      Files.delete(scratch);
    } catch (IOException e) {
      throw new UncheckedIOException(scratch + " cannot be removed: " + e.getMessage(), e);
    }
  }
}
