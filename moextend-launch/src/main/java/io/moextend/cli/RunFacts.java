package io.moextend.cli;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.moextend.checkpoint.CheckpointException;
import io.moextend.report.MetricsHistory;
import io.moextend.train.CheckpointStore;
import io.moextend.train.MetricsLog;
import io.moextend.train.Peers;
import io.moextend.train.RunState;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What can be said of a run's folder.
 *
 * @param output the folder that the run was given
 */
record RunFacts(Path output) {
  /** Whether a training run wrote here. */
  static boolean isRun(Path folder) {
    return Files.isRegularFile(folder.resolve("config.yaml"))
        && !Files.exists(folder.resolve("config.json"))
        && !Files.exists(folder.resolve("delta.json"));
  }

  /** The finished model, else the newest checkpoint, else null. */
  @Nullable Path model() {
    Path whole = FinishedRun.model(output);
    if (Files.isDirectory(whole)) {
      return whole;
    }
    List<Path> checkpoints = checkpoints();
    return checkpoints.isEmpty() ? null : checkpoints.getLast();
  }

  private List<Path> checkpoints() {
    try {
      return new CheckpointStore(output, null, List.of(), Peers.NONE).whole();
    } catch (IOException e) {
      throw new CheckpointException(output + ": cannot be read (" + e + ")", e);
    }
  }

  ObjectNode read() {
    ObjectNode run = JsonNodeFactory.instance.objectNode();
    List<Path> checkpoints = checkpoints();
    run.put("finished", Files.isDirectory(FinishedRun.model(output)));
    if (!checkpoints.isEmpty()) {
      RunState state = RunState.read(checkpoints.getLast());
      run.put("stage", state.identity().getOrDefault("stage", "unknown"));
      run.put("saved step", state.step());
      run.put("samples seen", state.samplesSeen());
    }
    var names = run.putArray("checkpoints");
    checkpoints.forEach(c -> names.add(String.valueOf(c.getFileName())));
    Path metrics = output.resolve(MetricsLog.FILE);
    if (Files.exists(metrics)) {
      MetricsHistory history = MetricsHistory.read(metrics);
      if (!history.rows().isEmpty()) {
        MetricsHistory.Row last = history.rows().getLast();
        ObjectNode values = run.putObject("last metrics");
        values.put("step", last.step());
        last.values().forEach(values::put);
      }
    }
    return run;
  }
}
