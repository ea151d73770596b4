package io.moextend.cli;

import io.moextend.cli.MovDemoResults.Pupil;
import io.moextend.config.T5Config;
import io.moextend.data.prompted.MedianAverage;
import io.moextend.eval.RankExamination;
import io.moextend.report.BarChart;
import io.moextend.report.Block;
import io.moextend.report.HtmlReport;
import io.moextend.report.KeyFigures;
import io.moextend.report.Numbers;
import io.moextend.report.Paragraph;
import io.moextend.report.Section;
import io.moextend.report.Table;
import io.moextend.report.TrainingReport;
import io.moextend.report.Unit;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;

/** report.html of the adapters' demo: accuracy on new prompts against what was trained. */
record MovDemoReport(DemoSettings settings, MovDemoPlan plan, MovDemoResults results) {
  void write(Path file) {
    var cost = new DemoCost(settings.ranks(), results.stages(), results.parts());
    new HtmlReport(
            "Adapters demo: one T5, five ways to tune it",
            lead(),
            List.of(
                overview(),
                new Section("Accuracy against what was trained", side()),
                new Section("Task by task", tasks()),
                cost.losses(),
                cost.cost(),
                settingsTable()))
        .write(file);
  }

  private String lead() {
    return ("A tiny T5 1.1 learnt to guess words that were left out of short texts. Then it was tuned to say a text's topic,"
            + " its mood and who is in it, by (IA)3, LoRA, mixtures of both and full finetuning: the same prompts, as many steps."
            + " It was asked in words that none of them was tuned on. Everything below was measured in this run, %s on %s.")
        .formatted(settings.dtype().dtype(), results.device());
  }

  private Section overview() {
    var figures = new ArrayList<KeyFigures.Figure>();
    figures.add(
        new KeyFigures.Figure(
            "Before", percent(results.before()), "the pretrained model, never prompted"));
    for (Pupil pupil : results.pupils()) {
      figures.add(
          new KeyFigures.Figure(
              pupil.method().word(),
              percent(pupil.marks()),
              "%s numbers trained, %s %% of the model's"
                  .formatted(
                      Numbers.grouped(pupil.trained()), Numbers.fixed(100 * pupil.share(), 2))));
    }
    figures.add(
        new KeyFigures.Figure("Time", Numbers.fixed(results.seconds(), 0) + " s", "all of it"));
    return Section.of("Overview", new KeyFigures(figures));
  }

  private List<Block> side() {
    List<BarChart.Bar> bars =
        results.pupils().stream()
            .map(pupil -> new BarChart.Bar(pupil.method().word(), pupil.accuracy()))
            .toList();
    var rows = new ArrayList<List<String>>();
    for (Pupil pupil : results.pupils()) {
      rows.add(
          List.of(
              pupil.method().word(),
              Numbers.grouped(pupil.trained()),
              Numbers.fixed(100 * pupil.share(), 3),
              Numbers.fixed(100 * pupil.accuracy(), 1),
              Numbers.fixed(pupil.run().seconds(), 1),
              Numbers.compact(pupil.run().history().median("tokens_per_s").orElse(0))));
    }
    return List.of(
        new Paragraph(
            "A question is answered by the choice that the model finds most likely. Of each task the median over its prompts"
                + " counts, then the mean over tasks. Adapters come in addition to the model, so that a share may"
                + " be above 100 %. One seed, a tiny model: differences of a few points say little."),
        new BarChart("Right answers", Unit.PERCENT, List.of("new prompts"), "", bars),
        new Table(
            "Side by side",
            List.of(
                Table.Column.words("Method"),
                Table.Column.numbers("Numbers trained"),
                Table.Column.numbers("Of the model's, %"),
                Table.Column.numbers("Right answers, %"),
                Table.Column.numbers("Training, s"),
                Table.Column.numbers("Tokens per second")),
            rows));
  }

  private List<Block> tasks() {
    var columns = new ArrayList<>(List.of(Table.Column.words("Model")));
    results
        .before()
        .tasks()
        .forEach(task -> columns.add(Table.Column.numbers(task.task() + ", %")));
    var rows = new ArrayList<List<String>>(List.of(row("before", results.before())));
    results.pupils().forEach(pupil -> rows.add(row(pupil.method().word(), pupil.marks())));
    return List.of(new Table("Each prompt that nothing was learnt from", columns, rows, 1));
  }

  private static List<String> row(String name, RankExamination.Result marks) {
    var row = new ArrayList<>(List.of(name));
    marks.tasks().forEach(task -> row.add(Numbers.fixed(task.metrics().accuracy(), 1)));
    return row;
  }

  private Section settingsTable() {
    var all = new LinkedHashMap<String, String>();
    T5Config model = plan.model().t5();
    all.put(
        "model",
        "T5 1.1: vocabulary %d, width %d, %d and %d layers, %d heads"
            .formatted(
                model.vocab(),
                model.hidden(),
                model.encoderLayers(),
                model.decoderLayers(),
                model.heads()));
    all.put(
        "mixtures",
        "%d experts; products of rank %d".formatted(MovDemoPlan.EXPERTS, MovDemoPlan.RANK));
    results
        .stages()
        .forEach(
            stage ->
                all.put(
                    stage.name(),
                    "%d steps of %d examples, AdamW, cosine from %s"
                        .formatted(
                            stage.steps().count(),
                            stage.steps().batch(),
                            stage.steps().learningRate())));
    all.put("dtype", settings.dtype().dtype().toString());
    all.put("device", results.device());
    all.put("seed", Long.toString(settings.seed()));
    return TrainingReport.settings(all);
  }

  private static String percent(RankExamination.Result marks) {
    MedianAverage averages = marks.averages();
    return Numbers.fixed(averages.average(), 1) + " %";
  }
}
