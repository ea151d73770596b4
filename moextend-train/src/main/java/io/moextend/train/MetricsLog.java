package io.moextend.train;

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.moextend.checkpoint.AtomicFolder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.function.LongSupplier;

/**
 * OUT/metrics.jsonl: one line for each step, with that step's own values, and one with {@code
 * eval_loss} for each evaluation. A run that goes on from step N first drops every line after N,
 * and what a crash left of a last one.
 */
public final class MetricsLog implements TrainingListener {
  /** Name of the file in the run's folder. */
  public static final String FILE = "metrics.jsonl";

  private static final JsonMapper JSON = new JsonMapper();

  private final Path file;
  private final LongSupplier memoryBytes;

  /**
   * @param memoryBytes most memory the device ever gave out in this run
   */
  public MetricsLog(Path output, LongSupplier memoryBytes) {
    this.file = output.resolve(FILE);
    this.memoryBytes = memoryBytes;
  }

  @Override
  public void started(int done) {
    try {
      Files.createDirectories(file.toAbsolutePath().getParent());
      if (!Files.exists(file)) {
        return;
      }
      Path kept = file.resolveSibling(FILE + ".incomplete");
      Files.write(kept, linesUpTo(done));
      Files.move(kept, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    } catch (IOException e) {
      throw AtomicFolder.failure(file, e);
    }
  }

  private List<String> linesUpTo(int done) throws IOException {
    var kept = new ArrayList<String>();
    for (String line : Files.readAllLines(file)) {
      JsonNode values;
      try {
        values = JSON.readTree(line);
      } catch (JacksonException cutOff) {
        break; // the line a crash cut short: everything after it is newer still
      }
      if (values.path("step").asInt(Integer.MAX_VALUE) <= done) {
        kept.add(line);
      }
    }
    return kept;
  }

  @Override
  public void stepped(StepReport report) {
    Losses losses = report.losses();
    ObjectNode line = JSON.createObjectNode();
    line.put("step", report.step());
    line.put("loss", losses.loss());
    line.put("lm_loss", losses.lmLoss());
    line.put("aux_loss", losses.auxLoss());
    line.put("grad_norm", report.gradientNorm());
    line.put("learning_rate", report.learningRate());
    line.put("tokens_per_s", report.tokensPerSecond());
    line.put("step_s", report.seconds());
    line.put("samples", report.samplesSeen());
    line.put("memory", memoryBytes.getAsLong());
    if (report.memoryPerRank().size() > 1) {
      ArrayNode ranks = line.putArray("memory_per_rank");
      report.memoryPerRank().forEach(ranks::add);
    }
    CommunicationTime communication = report.communication();
    if (communication != null) {
      line.put("communication_s", communication.seconds());
      line.put("communication_exposed_s", communication.exposedSeconds());
    }
    if (report.untrainedBatches() > 0) {
      line.put("untrained_batches", report.untrainedBatches());
    }
    append(line);
  }

  @Override
  public void evaluated(int step, Losses losses) {
    ObjectNode line = JSON.createObjectNode();
    line.put("step", step);
    line.put("eval_loss", losses.loss());
    line.put("eval_lm_loss", losses.lmLoss());
    line.put("eval_aux_loss", losses.auxLoss());
    line.put("eval_samples", losses.samples());
    append(line);
  }

  private void append(ObjectNode line) {
    try {
      Files.writeString(file, line + "\n", StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    } catch (IOException e) {
      throw AtomicFolder.failure(file, e);
    }
  }
}
