package io.moextend.train;

import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.moextend.checkpoint.AtomicFolder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** A loss or gradient that is no number. The weights are those of the step before. */
public final class DivergedException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** One micro-batch of the step: its samples and what it cost. */
  public record MicroBatch(List<String> samples, Losses losses) {}

  /**
   * What was known when it happened, on one rank.
   *
   * @param rank who writes this
   * @param ranks on which it happened; empty where each rank's own numbers are finite and only
   *     their sum is not
   * @param gradientNorm NaN where the loss alone was wrong already
   * @param microBatches of this rank
   * @param wrongGradients of this rank: micro-batch and parameter
   */
  public record Evidence(
      int step,
      int rank,
      List<Integer> ranks,
      double learningRate,
      double gradientNorm,
      List<MicroBatch> microBatches,
      List<String> wrongGradients) {
    public Evidence {
      ranks = List.copyOf(ranks);
      microBatches = List.copyOf(microBatches);
      wrongGradients = List.copyOf(wrongGradients);
    }

    /** OUT/diverged-step-N-rank-R.json. */
    Path write(Path output) {
      Path file = output.resolve("diverged-step-%d-rank-%d.json".formatted(step, rank));
      try {
        Files.createDirectories(output);
        Files.writeString(
            file,
            JsonMapper.builder()
                .enable(SerializationFeature.INDENT_OUTPUT)
                .build()
                .writeValueAsString(this));
      } catch (IOException e) {
        throw AtomicFolder.failure(file, e);
      }
      return file;
    }
  }

  private final transient Evidence evidence;

  DivergedException(String what, Evidence evidence, Path file) {
    super(
        "step %d: %s; no weight was changed in this step; samples and losses are in %s; try a lower optimizer.learning_rate, or go on from the last checkpoint without the samples named there"
            .formatted(evidence.step(), what, file));
    this.evidence = evidence;
  }

  public Evidence evidence() {
    return evidence;
  }
}
