package io.moextend.cli;

import io.moextend.cli.DemoStages.Trained;
import io.moextend.report.Block;
import io.moextend.report.Numbers;
import io.moextend.report.Paragraph;
import io.moextend.report.RanksReport;
import io.moextend.report.Section;
import io.moextend.report.Table;
import io.moextend.report.TrainingReport;
import java.util.ArrayList;
import java.util.List;

/**
 * What a demo's stages took.
 *
 * @param ranks of each stage
 * @param stages in the order they ran
 * @param all everything the demo did
 */
record DemoCost(int ranks, List<Trained> stages, List<DemoDiary.Part> all) {
  private static final double MEGABYTE = 1e6;

  Section losses() {
    List<Block> charts = new ArrayList<>();
    for (Trained stage : stages) {
      charts.add(TrainingReport.loss("Loss: " + stage.name(), stage.history()));
    }
    return new Section("Loss curves", charts);
  }

  Section cost() {
    List<Block> blocks = new ArrayList<>(List.of(training()));
    if (ranks > 1) {
      blocks.add(new DemoRanks(ranks, stages).table());
      blocks.add(
          new Paragraph(
              "A step's loss is the mean over the ranks' batches: as in one process that takes as many batches"
                  + " of that size for a step, not as in one that takes all samples at once. "
                  + RanksReport.HAND_OVER));
    }
    List<List<String>> parts =
        all.stream().map(p -> List.of(p.name(), Numbers.fixed(p.seconds(), 1))).toList();
    blocks.add(
        new Table(
            "Every part",
            List.of(Table.Column.words("Part"), Table.Column.numbers("Seconds")),
            parts));
    return new Section("Time and memory", blocks);
  }

  private Table training() {
    List<List<String>> rows = new ArrayList<>();
    for (Trained stage : stages) {
      rows.add(
          List.of(
              stage.name(),
              Integer.toString(stage.steps().count()),
              Numbers.fixed(stage.seconds(), 1),
              Numbers.compact(stage.history().median("tokens_per_s").orElse(0)),
              Numbers.fixed(stage.peakBytes() / MEGABYTE, 1)));
    }
    return new Table(
        "Training",
        List.of(
            Table.Column.words("Stage"),
            Table.Column.numbers("Steps"),
            Table.Column.numbers("Seconds"),
            Table.Column.numbers("Tokens per second"),
            Table.Column.numbers(
                ranks > 1 ? "Largest peak of a rank's arrays, MB" : "Peak of arrays, MB")),
        rows);
  }
}
