package io.moextend.cli;

import io.moextend.cli.DemoExamination.Marks;
import io.moextend.eval.AnswerAccuracy;
import io.moextend.eval.AnswerAccuracy.Answer;
import io.moextend.report.BarChart;
import io.moextend.report.Block;
import io.moextend.report.ExpertDistributionReport;
import io.moextend.report.Gallery;
import io.moextend.report.HtmlReport;
import io.moextend.report.KeyFigures;
import io.moextend.report.Numbers;
import io.moextend.report.Paragraph;
import io.moextend.report.Section;
import io.moextend.report.Table;
import io.moextend.report.Unit;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SequencedMap;

/** report.html of the demo: what it measured, in the order one asks. */
record DemoReport(DemoSettings settings, DemoPlan plan, DemoResults results) {
  private static final int SHOWN_PICTURES = 12;
  private static final List<String> COMPARED =
      List.of(DemoChain.PRETRAINED, DemoChain.EXTENDED, DemoChain.FULL);

  void write(Path file) {
    var sections = new ArrayList<Section>();
    sections.add(overview());
    sections.add(new Section("Seeing", seeing()));
    sections.add(new Section("Language", language()));
    var course = new DemoCourse(settings, plan, results);
    var cost = new DemoCost(settings.ranks(), results.stages(), results.parts());
    sections.add(cost.losses());
    DemoExtension.Counted counted = results.counted();
    sections.addAll(
        ExpertDistributionReport.sections(
            counted.before(), counted.after(), counted.distribution(), counted.source()));
    sections.add(course.proof());
    sections.add(cost.cost());
    sections.add(course.settingsTable());
    new HtmlReport("MoExtend demo: a language model learns to see", lead(), sections).write(file);
  }

  private String lead() {
    return ("A tiny Mixtral was pretrained on text about coloured shapes, then taught to see pictures of them by"
            + " training a connector, new experts and their gates alone. Everything below was measured in this"
            + " run, %s on %s.")
        .formatted(settings.dtype().dtype(), results.device());
  }

  private Section overview() {
    Marks before = results.marks(DemoChain.PRETRAINED);
    Marks after = results.marks(DemoChain.EXTENDED);
    Marks full = results.marks(DemoChain.FULL);
    DemoResults.Frozen frozen = results.frozen();
    return Section.of(
        "Overview",
        new KeyFigures(
            List.of(
                new KeyFigures.Figure(
                    "Questions about unseen pictures",
                    percent(after.pictureAccuracy()),
                    "right; before %s, chance %s"
                        .formatted(percent(before.pictureAccuracy()), percent(chance()))),
                new KeyFigures.Figure(
                    "Text perplexity, extended",
                    Numbers.fixed(after.text().value(), 3),
                    "old model %s: times %s"
                        .formatted(
                            Numbers.fixed(before.text().value(), 3), drift(DemoChain.EXTENDED))),
                new KeyFigures.Figure(
                    "Text perplexity, full finetuning",
                    Numbers.fixed(full.text().value(), 3),
                    "times %s; pictures %s"
                        .formatted(drift(DemoChain.FULL), percent(full.pictureAccuracy()))),
                new KeyFigures.Figure(
                    "Frozen tensors that moved",
                    frozen.moved().size() + " of " + frozen.tensors(),
                    "SHA-256 of each before and after"),
                new KeyFigures.Figure(
                    "Layers with a new expert",
                    results.counted().distribution().selected().size() + " of " + plan.layers(),
                    "layers " + results.counted().plan().addLayer()),
                new KeyFigures.Figure(
                    "Time", Numbers.fixed(results.seconds(), 0) + " s", "all of it"))));
  }

  private List<Block> seeing() {
    List<Block> blocks = new ArrayList<>();
    int pictures = plan.sizes().testPictures();
    blocks.add(
        new Paragraph(
            "%d pictures of things that no training picture shows at that place, four questions each, one word to answer. Chance is what always giving the most frequent answer reaches."
                .formatted(pictures)));
    blocks.add(accuracyTable());
    blocks.add(models());
    blocks.add(
        new Gallery(
            "The first unseen pictures and what the extended model answers to: what colour is it? what shape is it? what size is it? where is it?",
            pictures()));
    return blocks;
  }

  private Table accuracyTable() {
    SequencedMap<String, List<Answer>> kinds =
        AnswerAccuracy.byKind(results.marks(DemoChain.PRETRAINED).pictures());
    List<Table.Column> columns = new ArrayList<>();
    columns.add(Table.Column.words("Model"));
    kinds.keySet().forEach(kind -> columns.add(Table.Column.numbers(kind + ", %")));
    columns.add(Table.Column.numbers("all, %"));
    List<List<String>> rows = new ArrayList<>();
    List<String> chances = new ArrayList<>(List.of("chance"));
    kinds.values().forEach(a -> chances.add(number(AnswerAccuracy.chance(a))));
    chances.add(number(chance()));
    rows.add(chances);
    for (Marks marks : results.marks()) {
      List<String> row = new ArrayList<>(List.of(marks.name()));
      AnswerAccuracy.byKind(marks.pictures())
          .values()
          .forEach(a -> row.add(number(AnswerAccuracy.share(a))));
      row.add(number(marks.pictureAccuracy()));
      rows.add(row);
    }
    return new Table("Right answers about unseen pictures", columns, rows, 1);
  }

  private Table models() {
    return new Table(
        "The models, in the order they were made",
        List.of(Table.Column.words("Model"), Table.Column.words("What it is")),
        List.of(
            List.of(
                DemoChain.PRETRAINED,
                "text only; asked with a tower and a connector not yet trained"),
            List.of(DemoChain.ALIGNED, "its connector trained on captions, all else frozen"),
            List.of(
                DemoChain.ROUTED,
                "its old routers trained for a few steps, to see where routing moves"),
            List.of(DemoChain.GROWN, "new experts copied in, not yet trained"),
            List.of(
                DemoChain.EXTENDED,
                "new experts, their gates and calibrations and the connector trained on questions"),
            List.of(
                DemoChain.FULL,
                "the aligned model with every weight but the tower's trained on the same questions")));
  }

  /** Of the answers given by always saying each kind's most frequent one. */
  private double chance() {
    return AnswerAccuracy.byKind(results.marks(DemoChain.PRETRAINED).pictures()).values().stream()
        .mapToDouble(AnswerAccuracy::chance)
        .average()
        .orElse(0);
  }

  private List<Gallery.Picture> pictures() {
    List<Answer> answers = results.marks(DemoChain.EXTENDED).pictures();
    int questions = AnswerAccuracy.byKind(answers).size();
    List<Gallery.Picture> pictures = new ArrayList<>();
    for (int i = 0; i < Math.min(SHOWN_PICTURES * questions, answers.size()); i += questions) {
      List<Answer> one = answers.subList(i, i + questions);
      String number = one.getFirst().sample().substring(one.getFirst().kind().length() + 1);
      Path file = results.data().root().resolve("images/" + number + ".png");
      try {
        pictures.add(Gallery.Picture.png(Files.readAllBytes(file), truth(one), caption(one)));
      } catch (IOException e) {
        throw new UncheckedIOException("cannot read " + file + ": " + e.getMessage(), e);
      }
    }
    return pictures;
  }

  private static String truth(List<Answer> answers) {
    return String.join(" ", answers.stream().map(Answer::expected).toList());
  }

  private static String caption(List<Answer> answers) {
    return String.join(
        ", ",
        answers.stream()
            .map(a -> a.right() ? a.given() : "%s (wrong: %s)".formatted(a.given(), a.expected()))
            .toList());
  }

  private List<Block> language() {
    List<List<String>> rows = new ArrayList<>();
    for (Marks marks : results.marks()) {
      rows.add(
          List.of(
              marks.name(),
              Numbers.fixed(marks.text().value(), 3),
              drift(marks.name()),
              number(marks.textAccuracy())));
    }
    List<BarChart.Bar> bars =
        results.marks().stream()
            .filter(m -> COMPARED.contains(m.name()))
            .map(m -> new BarChart.Bar(m.name(), m.text().value()))
            .toList();
    Marks first = results.marks().getFirst();
    return List.of(
        new Paragraph(
            ("Held-out text: dialogues and sentences that were not trained on, %s labelled tokens. The extended"
                    + " model reads them with its new experts in place; %s had the same samples, steps"
                    + " and learning rate.")
                .formatted(Numbers.grouped(first.text().positions()), DemoChain.FULL)),
        new BarChart("Perplexity of held-out text", Unit.NUMBER, List.of("perplexity"), "", bars),
        new Table(
            "Text after each stage",
            List.of(
                Table.Column.words("Model"),
                Table.Column.numbers("Perplexity"),
                Table.Column.numbers("Times the old"),
                Table.Column.numbers("Text questions right, %")),
            rows));
  }

  private String drift(String model) {
    return Numbers.fixed(results.drift(model), 3);
  }

  private static String percent(double share) {
    return Numbers.fixed(100 * share, 1) + " %";
  }

  private static String number(double share) {
    return Numbers.fixed(100 * share, 1);
  }
}
