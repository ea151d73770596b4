package io.moextend.cli;

import io.moextend.checkpoint.DeltaCheckpoint;
import io.moextend.config.ConfigException;
import io.moextend.config.DecoderConfig;
import io.moextend.config.FeedForwardConfig;
import io.moextend.stage.ExpertDistribution;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** --before and --after, and the bases of those that are deltas. */
final class ComparedModels {
  @Option(
      names = "--before",
      required = true,
      paramLabel = "DIR",
      description = "The model before the extension stage: a checkpoint, or a delta with a base.")
  private Path before = Path.of("");

  @Option(
      names = "--after",
      required = true,
      paramLabel = "DIR",
      description = "The same model after the extension stage.")
  private Path after = Path.of("");

  @Option(
      names = "--base",
      paramLabel = "DIR",
      description = "The checkpoint that --before, --after or both were trained from, as deltas.")
  private @Nullable Path base;

  @Option(
      names = "--before-base",
      paramLabel = "DIR",
      description = "The base of --before alone, where the two have different ones.")
  private @Nullable Path beforeBase;

  @Option(names = "--after-base", paramLabel = "DIR", description = "The base of --after alone.")
  private @Nullable Path afterBase;

  ModelFolder before() {
    return new ModelFolder(before, base(before, beforeBase));
  }

  ModelFolder after() {
    return new ModelFolder(after, base(after, afterBase));
  }

  /** The common base is for whichever is a delta; one's own base is taken at its word. */
  private @Nullable Path base(Path model, @Nullable Path own) {
    if (own != null || base == null) {
      return own;
    }
    if (!DeltaCheckpoint.isIn(before) && !DeltaCheckpoint.isIn(after)) {
      throw new ConfigException(
          "--base",
          base,
          "neither %s nor %s is a delta; leave out --base".formatted(before, after));
    }
    return DeltaCheckpoint.isIn(model) ? base : null;
  }

  /**
   * What both are.
   *
   * @throws ConfigException naming both folders where they differ in what counting compares, or the
   *     one that cannot be counted
   */
  DecoderConfig architecture() {
    DecoderConfig first = before().decoder(ExpertDistribution::comparable);
    DecoderConfig second = after().decoder(ExpertDistribution::comparable);
    FeedForwardConfig.Experts a = ExpertDistribution.comparable(first);
    FeedForwardConfig.Experts b = ExpertDistribution.comparable(second);
    requireEqual("num_hidden_layers", first.layers(), second.layers());
    requireEqual("num_local_experts", a.count(), b.count());
    requireEqual("num_experts_per_tok", a.topK(), b.topK());
    requireEqual("hidden_size", first.hidden(), second.hidden());
    requireEqual("vocab_size", first.vocab(), second.vocab());
    requireEqual(
        "the vision part", String.valueOf(first.vision()), String.valueOf(second.vision()));
    return second;
  }

  private void requireEqual(String what, Object first, Object second) {
    if (!first.equals(second)) {
      throw new ConfigException(
          "%s: %s=%s, but %s has %s; compare one architecture before and after training"
              .formatted(after, what, second, before, first));
    }
  }
}
