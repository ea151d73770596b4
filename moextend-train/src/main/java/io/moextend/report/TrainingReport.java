package io.moextend.report;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;

/** What a training run says of itself: the sections of report.html, each usable alone. */
public final class TrainingReport {
  /** Steps averaged into one point of the smooth line, as a part of all steps. */
  private static final double SMOOTHED_PART = 0.03;

  private static final int FEWEST_SMOOTHED = 40;

  private TrainingReport() {}

  /**
   * @param settings what the run was told, in the order to show it
   * @param more sections that follow, e.g. on the frozen weights or a benchmark
   */
  public static HtmlReport of(
      String title,
      String lead,
      MetricsHistory log,
      Map<String, String> settings,
      List<Section> more) {
    List<Section> sections = new ArrayList<>();
    sections.add(overview(log));
    sections.add(losses(log));
    sections.add(optimization(log));
    sections.add(speed(log));
    sections.addAll(more);
    sections.add(settings(settings));
    return new HtmlReport(title, lead, sections);
  }

  /** The last loss, the steps, the speed. */
  public static Section overview(MetricsHistory log) {
    List<KeyFigures.Figure> figures = new ArrayList<>();
    long steps = log.rows().isEmpty() ? 0 : log.rows().getLast().step();
    figures.add(new KeyFigures.Figure("Last step", Numbers.grouped(steps), ""));
    figure(figures, "Last loss", log.last("loss"), "");
    figure(figures, "Language-model part", log.last("lm_loss"), "");
    figure(figures, "Tokens per second", log.median("tokens_per_s"), "median");
    figure(figures, "Samples", log.last("samples"), "");
    List<Block> blocks = new ArrayList<>(List.of(new KeyFigures(figures)));
    if (log.repeatedSteps() > 0) {
      blocks.add(
          new Paragraph(
              "The run started again from a checkpoint: %d steps were done twice, and the second time counts."
                  .formatted(log.repeatedSteps())));
    }
    if (log.cutLines() > 0) {
      blocks.add(new Paragraph("The last line of the log was cut short and is left out."));
    }
    return new Section("Overview", blocks);
  }

  /** The loss and its parts. */
  public static Section losses(MetricsHistory log) {
    List<Block> blocks = new ArrayList<>();
    blocks.add(noisy(log, "loss", "Loss", LineChart.Scale.LINEAR));
    if (log.has("eval_loss")) {
      blocks.add(one(log, "eval_loss", "Loss on held-out samples", LineChart.Scale.LINEAR));
    }
    if (log.has("lm_loss") && log.has("aux_loss")) {
      blocks.add(noisy(log, "lm_loss", "Language-model loss", LineChart.Scale.LINEAR));
      blocks.add(noisy(log, "aux_loss", "Load-balancing loss", LineChart.Scale.LINEAR));
    }
    return new Section("Loss", blocks);
  }

  /** The loss alone, to stand among those of other stages. */
  public static LineChart loss(String title, MetricsHistory log) {
    return noisy(log, "loss", title, LineChart.Scale.LINEAR);
  }

  /** Gradient norm and learning rate. */
  public static Section optimization(MetricsHistory log) {
    List<Block> blocks = new ArrayList<>();
    if (log.has("grad_norm")) {
      blocks.add(noisy(log, "grad_norm", "Gradient norm before clipping", LineChart.Scale.LOG));
    }
    if (log.has("learning_rate")) {
      blocks.add(one(log, "learning_rate", "Learning rate", LineChart.Scale.LINEAR));
    }
    return new Section("Optimization", blocks);
  }

  /** Tokens per second. */
  public static Section speed(MetricsHistory log) {
    return Section.of(
        "Speed", noisy(log, "tokens_per_s", "Tokens per second", LineChart.Scale.LINEAR));
  }

  /** What the run was told. */
  public static Section settings(Map<String, String> settings) {
    List<List<String>> rows =
        settings.entrySet().stream().map(e -> List.of(e.getKey(), e.getValue())).toList();
    return Section.of(
        "Settings",
        new Table(
            "All settings, defaults included",
            List.of(Table.Column.words("Setting"), Table.Column.words("Value")),
            rows));
  }

  /** Each step in grey below the running mean, where there are enough steps for one. */
  private static LineChart noisy(
      MetricsHistory log, String name, String title, LineChart.Scale scale) {
    LineChart.Series steps = log.series(name, "each step");
    if (steps.points().size() < FEWEST_SMOOTHED) {
      return one(log, name, title, scale);
    }
    return chart(
        title,
        name,
        scale,
        List.of(
            new LineChart.Series(steps.name(), steps.points(), LineChart.Stroke.FAINT),
            new LineChart.Series("running mean", smooth(steps.points()))));
  }

  private static LineChart one(
      MetricsHistory log, String name, String title, LineChart.Scale scale) {
    return chart(title, name, scale, List.of(log.series(name, name)));
  }

  private static LineChart chart(
      String title, String yLabel, LineChart.Scale scale, List<LineChart.Series> series) {
    return new LineChart(title, "step", yLabel, scale, series);
  }

  /** The mean over the steps around each, fewer at the ends. */
  static List<LineChart.Point> smooth(List<LineChart.Point> points) {
    int reach = (int) Math.ceil(points.size() * SMOOTHED_PART / 2);
    List<LineChart.Point> out = new ArrayList<>();
    for (int i = 0; i < points.size(); i++) {
      int from = Math.max(0, i - reach);
      int to = Math.min(points.size(), i + reach + 1);
      double sum = 0;
      for (LineChart.Point p : points.subList(from, to)) {
        sum += p.y();
      }
      out.add(new LineChart.Point(points.get(i).x(), sum / (to - from)));
    }
    return out;
  }

  private static void figure(
      List<KeyFigures.Figure> figures, String label, OptionalDouble value, String note) {
    value.ifPresent(v -> figures.add(new KeyFigures.Figure(label, Numbers.compact(v), note)));
  }
}
