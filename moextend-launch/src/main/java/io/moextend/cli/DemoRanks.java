package io.moextend.cli;

import io.moextend.cli.DemoStages.Trained;
import io.moextend.report.Numbers;
import io.moextend.report.RanksReport;
import io.moextend.report.RanksReport.Exchanges;
import io.moextend.report.Table;
import java.util.ArrayList;
import java.util.List;

/**
 * What each rank of the demo's stages held, and what their exchanges took.
 *
 * @param ranks of each stage, more than one
 */
record DemoRanks(int ranks, List<Trained> stages) {
  DemoRanks {
    stages = List.copyOf(stages);
  }

  /** Stages down, ranks across. */
  Table table() {
    var columns = new ArrayList<>(List.of(Table.Column.words("Stage")));
    for (int rank = 0; rank < ranks; rank++) {
      columns.add(Table.Column.numbers("Rank %d, MB".formatted(rank)));
    }
    columns.add(Table.Column.numbers("Exchanges, s"));
    columns.add(Table.Column.numbers("Waited for, s"));
    columns.add(Table.Column.numbers("Waited for, % of the steps"));
    var rows = new ArrayList<List<String>>();
    for (Trained stage : stages) {
      Exchanges exchanges = Exchanges.of(stage.history());
      var row = new ArrayList<>(List.of(stage.name()));
      row.addAll(RanksReport.megabytes(stage.history()));
      row.add(Numbers.fixed(exchanges.seconds(), 1));
      row.add(Numbers.fixed(exchanges.exposedSeconds(), 1));
      row.add(Numbers.fixed(100 * exchanges.shareOfSteps(), 1));
      rows.add(row);
    }
    return new Table(
        "Most memory the arrays of each rank took, and rank 0's exchanges with the others",
        columns,
        rows);
  }

  /** A line for each stage. */
  List<String> lines() {
    return stages.stream().map(DemoRanks::line).toList();
  }

  private static String line(Trained stage) {
    Exchanges exchanges = Exchanges.of(stage.history());
    return "%s: %s MB of arrays per rank; exchanges %s s, waited for %s s, %s %% of the steps"
        .formatted(
            stage.name(),
            String.join(" and ", RanksReport.megabytes(stage.history())),
            Numbers.fixed(exchanges.seconds(), 1),
            Numbers.fixed(exchanges.exposedSeconds(), 1),
            Numbers.fixed(100 * exchanges.shareOfSteps(), 1));
  }
}
