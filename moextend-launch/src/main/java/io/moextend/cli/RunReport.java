package io.moextend.cli;

import io.moextend.config.ConfigException;
import io.moextend.report.MetricsHistory;
import io.moextend.report.RanksReport;
import io.moextend.report.Section;
import io.moextend.report.TrainingReport;
import io.moextend.train.MetricsLog;
import io.moextend.train.RunConfig;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.SequencedMap;

/**
 * A run's report.html, made of its metrics.
 *
 * @param group not owned
 */
record RunReport(RunConfig config, RankGroup group) {
  /**
   * @param stage as it is typed
   * @param settings what the report says of the run
   */
  void write(String stage, SequencedMap<String, String> settings) {
    Path output = config.checkpoints().outputDir();
    Path metrics = output.resolve(MetricsLog.FILE);
    if (!Files.exists(metrics)) {
      throw new ConfigException(metrics + " is missing; was it removed during the run?");
    }
    MetricsHistory log = MetricsHistory.read(metrics);
    settings.put("ranks", Integer.toString(group.world()));
    TrainingReport.of(
            "MoExtend: " + stage,
            "One stage of training, measured.",
            log,
            settings,
            group.world() == 1 ? List.of() : List.of(ranks(log)))
        .write(output.resolve("report.html"));
  }

  private Section ranks(MetricsHistory log) {
    return RanksReport.section(
        log,
        group.world(),
        config.distributed().zeroStage(),
        group.wire(config.distributed().transport()));
  }
}
