package io.moextend.cli;

import io.moextend.cli.DemoExamination.Marks;
import io.moextend.cli.MoiieDemoResults.Rival;
import io.moextend.config.DecoderConfig;
import io.moextend.config.FeedForwardConfig;
import io.moextend.config.TowerConfig;
import io.moextend.eval.AnswerAccuracy;
import io.moextend.eval.AnswerAccuracy.Answer;
import io.moextend.report.BarChart;
import io.moextend.report.Block;
import io.moextend.report.Details;
import io.moextend.report.HtmlReport;
import io.moextend.report.KeyFigures;
import io.moextend.report.Numbers;
import io.moextend.report.Paragraph;
import io.moextend.report.RoutingComparison;
import io.moextend.report.RoutingMaps;
import io.moextend.report.Section;
import io.moextend.report.Table;
import io.moextend.report.TrainingReport;
import io.moextend.report.Unit;
import io.moextend.stage.RoutingStatistics;
import io.moextend.stage.convert.LogitReceipt;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** report.html of MoIIE's demo: the four models side by side. */
record MoiieDemoReport(DemoSettings settings, MoiieDemoPlan plan, MoiieDemoResults results) {
  void write(Path file) {
    var cost = new DemoCost(settings.ranks(), results.stages(), results.parts());
    var sections = new ArrayList<Section>();
    sections.add(overview());
    sections.add(new Section("Side by side", sideBySide()));
    sections.add(new Section("Where tokens go", routing()));
    sections.add(cost.losses());
    sections.add(cost.cost());
    sections.add(settingsTable());
    new HtmlReport("MoIIE demo: one dense model, three mixtures grown from it", lead(), sections)
        .write(file);
  }

  private String lead() {
    return ("A tiny Phi-3 was pretrained on text about coloured shapes and its projector on captions of pictures of"
            + " them. Grown into three mixtures, it and they were then trained on the same questions and dialogues,"
            + " in the same order, for as many steps. Everything below was measured in this run, %s on %s.")
        .formatted(settings.dtype().dtype(), results.device());
  }

  private Section overview() {
    var figures = new ArrayList<KeyFigures.Figure>();
    double chance = chance();
    for (Rival rival : results.rivals()) {
      figures.add(
          new KeyFigures.Figure(
              rival.name(),
              percent(rival.marks().pictureAccuracy()),
              "of the questions about unseen pictures; %s parameters for a token"
                  .formatted(Numbers.grouped(rival.parameters().activated()))));
    }
    figures.add(
        new KeyFigures.Figure(
            "Before the last stage",
            percent(results.connected().pictureAccuracy()),
            "chance " + percent(chance)));
    figures.add(
        new KeyFigures.Figure("Time", Numbers.fixed(results.seconds(), 0) + " s", "all of it"));
    return Section.of("Overview", new KeyFigures(figures));
  }

  private List<Block> sideBySide() {
    List<BarChart.Bar> bars =
        results.rivals().stream()
            .map(
                rival ->
                    new BarChart.Bar(
                        rival.name(),
                        List.of(rival.marks().pictureAccuracy(), rival.marks().textAccuracy()),
                        null))
            .toList();
    return List.of(
        new Paragraph(
            "%d pictures of things that no training picture shows at that place, four questions each, one word to answer; and the questions of held-out dialogues. Chance is what always giving the most frequent answer reaches. Tiny models, one seed: differences of a few points say little."
                .formatted(plan.sizes().testPictures())),
        new BarChart(
            "Right answers", Unit.PERCENT, List.of("about pictures", "about text"), "", bars),
        accuracies(),
        sizes());
  }

  private Table accuracies() {
    List<Answer> first = results.connected().pictures();
    var columns = new ArrayList<>(List.of(Table.Column.words("Model")));
    AnswerAccuracy.byKind(first)
        .keySet()
        .forEach(kind -> columns.add(Table.Column.numbers(kind + ", %")));
    columns.add(Table.Column.numbers("all, %"));
    columns.add(Table.Column.numbers("Text questions, %"));
    columns.add(Table.Column.numbers("Text perplexity"));
    var chances = new ArrayList<>(List.of("chance"));
    AnswerAccuracy.byKind(first)
        .values()
        .forEach(answers -> chances.add(number(AnswerAccuracy.chance(answers))));
    chances.add(number(chance()));
    chances.add(number(AnswerAccuracy.chance(results.connected().texts())));
    chances.add("");
    var rows = new ArrayList<List<String>>(List.of(chances, row(results.connected())));
    results.rivals().forEach(rival -> rows.add(row(rival.marks())));
    return new Table("Right answers, and how well held-out text is foretold", columns, rows, 2);
  }

  private static List<String> row(Marks marks) {
    var row = new ArrayList<>(List.of(marks.name()));
    AnswerAccuracy.byKind(marks.pictures())
        .values()
        .forEach(answers -> row.add(number(AnswerAccuracy.share(answers))));
    row.add(number(marks.pictureAccuracy()));
    row.add(number(marks.textAccuracy()));
    row.add(Numbers.fixed(marks.text().value(), 3));
    return row;
  }

  private Table sizes() {
    var rows = new ArrayList<List<String>>();
    for (Rival rival : results.rivals()) {
      rows.add(
          List.of(
              rival.name(),
              Numbers.grouped(rival.parameters().all()),
              Numbers.grouped(rival.parameters().activated()),
              grownBy(rival.logits()),
              Numbers.fixed(rival.sft().seconds(), 1),
              Numbers.compact(rival.sft().history().median("tokens_per_s").orElse(0)),
              Numbers.fixed(rival.sft().peakBytes() / 1e6, 1)));
    }
    return new Table(
        "What each costs",
        List.of(
            Table.Column.words("Model"),
            Table.Column.numbers("Parameters"),
            Table.Column.numbers("Of them for a token"),
            Table.Column.numbers("Largest logit change by convert-moe"),
            Table.Column.numbers("sft, s"),
            Table.Column.numbers("Tokens per second"),
            Table.Column.numbers("Peak of arrays, MB")),
        rows);
  }

  private static String grownBy(@Nullable LogitReceipt logits) {
    return logits == null ? "" : Numbers.compact(logits.largestDifference());
  }

  private List<Block> routing() {
    var routed = new LinkedHashMap<String, RoutingStatistics>();
    for (Rival rival : results.rivals()) {
      RoutingStatistics own = rival.routing();
      if (own != null) {
        routed.put(rival.name(), own);
      }
    }
    var blocks = new ArrayList<Block>();
    blocks.add(
        new Paragraph(
            "Counted over the questions about unseen pictures, in every layer that has experts. The dense model has none."));
    var compared = new RoutingComparison(routed);
    blocks.add(compared.table());
    blocks.addAll(compared.maps());
    routed.forEach(
        (name, own) -> blocks.add(new Details(name + " in full", RoutingMaps.blocks(own))));
    return blocks;
  }

  private Section settingsTable() {
    var all = new LinkedHashMap<String, String>();
    DecoderConfig model = plan.languageModel().decoder();
    TowerConfig tower = DemoTower.config(MoiieDemoPlan.TOWER_LAYERS).tower();
    int width = model.feedForward() instanceof FeedForwardConfig.Dense dense ? dense.width() : 0;
    all.put(
        "language model",
        "Phi-3: vocabulary %d, width %d, %d layers, %d heads, networks of width %d"
            .formatted(
                model.vocab(), model.hidden(), model.layers(), model.heads().query(), width));
    all.put(
        "mixtures",
        "experts in odd layers; vanilla and MoIIE %d, %d of them for a token; modality 2, 1 of them"
            .formatted(MoiieDemoPlan.EXPERTS, MoiieDemoPlan.CHOSEN));
    all.put(
        "vision tower",
        "random and frozen: %d patches, %d layers, width %d"
            .formatted(tower.patches(), tower.layers(), tower.hidden()));
    all.put(
        "pictures",
        "%d to train on, %d unseen"
            .formatted(plan.sizes().trainPictures(), plan.sizes().testPictures()));
    for (DemoStages.Trained stage : results.stages()) {
      all.put(
          stage.name(),
          "%d steps of %d samples, AdamW, cosine from %s"
              .formatted(
                  stage.steps().count(), stage.steps().batch(), stage.steps().learningRate()));
    }
    all.put("dtype", settings.dtype().dtype().toString());
    all.put("device", results.device());
    all.put(
        "processes of a training stage",
        "%d with %d threads each".formatted(settings.ranks(), settings.threadsOfRank()));
    all.put("seed", Long.toString(settings.seed()));
    return TrainingReport.settings(all);
  }

  /** Of the answers given by always saying each kind's most frequent one. */
  private double chance() {
    return AnswerAccuracy.byKind(results.connected().pictures()).values().stream()
        .mapToDouble(AnswerAccuracy::chance)
        .average()
        .orElse(0);
  }

  private static String percent(double share) {
    return Numbers.fixed(100 * share, 1) + " %";
  }

  private static String number(double share) {
    return Numbers.fixed(100 * share, 1);
  }
}
