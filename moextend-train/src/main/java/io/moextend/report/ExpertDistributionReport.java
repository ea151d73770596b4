package io.moextend.report;

import io.moextend.report.HeatMap.Cell;
import io.moextend.report.HeatMap.Shade;
import io.moextend.stage.CountingMode;
import io.moextend.stage.ExpertDistribution;
import io.moextend.stage.ExpertDistribution.LayerScore;
import io.moextend.stage.ExtensionPlan;
import io.moextend.stage.Modality;
import io.moextend.stage.RoutingCensus;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** Where the extension stage moved the routing, and which layers are extended because of it. */
public final class ExpertDistributionReport {
  private final RoutingCensus before;
  private final RoutingCensus after;
  private final ExpertDistribution distribution;
  private final ExtensionPlan.Source source;
  private final Set<Cell> donors;
  private final Set<Integer> extended;

  private ExpertDistributionReport(
      RoutingCensus before,
      RoutingCensus after,
      ExpertDistribution distribution,
      ExtensionPlan.Source source) {
    this.before = before;
    this.after = after;
    this.distribution = distribution;
    this.source = source;
    this.donors =
        distribution.selected().stream()
            .map(l -> new Cell(l.layer(), l.donor()))
            .collect(Collectors.toSet());
    this.extended =
        distribution.selected().stream().map(LayerScore::layer).collect(Collectors.toSet());
  }

  /**
   * @param before counts of the model before the extension stage
   * @param after counts of the model after it
   * @param distribution what was made of the two
   */
  public static HtmlReport of(
      RoutingCensus before,
      RoutingCensus after,
      ExpertDistribution distribution,
      ExtensionPlan.Source source) {
    String lead =
        "%d layers of %d experts, counted over %s samples and %s tokens of %s."
            .formatted(
                distribution.layers(),
                distribution.experts(),
                Numbers.grouped(source.samples()),
                Numbers.grouped(source.tokens()),
                source.data());
    return new HtmlReport(
        "Expert distribution",
        lead,
        new ExpertDistributionReport(before, after, distribution, source).sections());
  }

  /** The same sections, to stand in a longer report. */
  public static List<Section> sections(
      RoutingCensus before,
      RoutingCensus after,
      ExpertDistribution distribution,
      ExtensionPlan.Source source) {
    return new ExpertDistributionReport(before, after, distribution, source).sections();
  }

  private List<Section> sections() {
    List<Section> sections = new ArrayList<>();
    sections.add(new Section("Layers and donors", choice()));
    sections.add(
        new Section(
            "Where the routing moved",
            List.of(
                new Paragraph(
                    "Share of a layer's choices after the extension stage minus the share before"
                        + " it. A layer's score is the standard deviation of its row."),
                differenceMap())));
    sections.add(
        new Section(
            "Before and after",
            List.of(
                shareMap("Before the extension stage", before.fractions()),
                shareMap("After the extension stage", after.fractions()))));
    sections.add(new Section("Text and image tokens apart", apart()));
    sections.add(Section.of("Where the numbers come from", provenance()));
    return sections;
  }

  private List<Block> choice() {
    List<Block> blocks = new ArrayList<>();
    if (distribution.mode() == CountingMode.AS_PUBLISHED) {
      blocks.add(
          new Callout(
              "MODE: AS-PUBLISHED",
              "These are counts of the LEAST likely experts of each token, as the published script"
                  + " takes them, not of the experts that were used. Layers and donors below"
                  + " differ from those of the paper's own rule."));
    }
    List<LayerScore> selected = distribution.selected();
    blocks.add(
        new KeyFigures(
            List.of(
                new KeyFigures.Figure("Mode", distribution.mode().label(), countedNote()),
                new KeyFigures.Figure(
                    "Layers extended", selected.size() + " of " + distribution.layers(), ""),
                new KeyFigures.Figure(
                    "Largest score", points(distribution.ranking().getFirst().score()), ""),
                new KeyFigures.Figure(
                    "Score at the cut",
                    points(distribution.ranking().get(selected.size() - 1).score()),
                    "the last extended layer"))));
    blocks.add(ranking());
    if (!distribution.tiedAtCut().isEmpty()) {
      blocks.add(
          new Paragraph(
              "Layers %s have the same score and lie on both sides of the cut; the lower layer goes first."
                  .formatted(
                      distribution.tiedAtCut().stream()
                          .map(String::valueOf)
                          .collect(Collectors.joining(", ")))));
    }
    return blocks;
  }

  private String countedNote() {
    return switch (distribution.mode()) {
      case PAPER -> "the chosen experts are counted";
      case AS_PUBLISHED -> "the least likely experts are counted";
    };
  }

  private Table ranking() {
    List<List<String>> rows = new ArrayList<>();
    for (LayerScore layer : distribution.ranking()) {
      rows.add(
          List.of(
              Integer.toString(rows.size() + 1),
              Integer.toString(layer.layer()),
              Numbers.fixed(100 * layer.score(), 3),
              Integer.toString(layer.donor()),
              Numbers.fixed(100 * layer.donorShare(), 1),
              extended.contains(layer.layer()) ? "extended" : ""));
    }
    return new Table(
        "Layers by score; those above the line are extended",
        List.of(
            Table.Column.numbers("Rank"),
            Table.Column.numbers("Layer"),
            Table.Column.numbers("Score, pp"),
            Table.Column.numbers("Most used expert"),
            Table.Column.numbers("Its share after, %"),
            Table.Column.words("")),
        rows,
        distribution.selected().size());
  }

  private HeatMap differenceMap() {
    List<List<Double>> rows = new ArrayList<>();
    for (int layer = 0; layer < distribution.layers(); layer++) {
      int l = layer;
      rows.add(
          IntStream.range(0, distribution.experts())
              .mapToObj(e -> distribution.difference(l, e))
              .toList());
    }
    return map("After minus before, percentage points", rows, Unit.POINTS, Shade.AROUND_ZERO);
  }

  private HeatMap shareMap(String title, double[][] shares) {
    List<List<Double>> rows =
        IntStream.range(0, shares.length)
            .mapToObj(
                l -> IntStream.range(0, shares[l].length).mapToObj(e -> shares[l][e]).toList())
            .toList();
    return map(title + ", % of each layer's choices", rows, Unit.PERCENT, Shade.FROM_ZERO);
  }

  private HeatMap map(String title, List<List<Double>> rows, Unit unit, Shade shade) {
    return new HeatMap(
        title,
        HeatMap.Names.numbered("layer", "expert", rows.size(), rows.getFirst().size()),
        rows,
        unit,
        shade,
        new HeatMap.Marks(
            donors,
            extended,
            Set.of(),
            "\u25B8 extended layer; the framed expert is the donor of its new one."));
  }

  private List<Block> apart() {
    List<Block> blocks = new ArrayList<>();
    for (Modality modality : Modality.values()) {
      String name = modality.name().toLowerCase(Locale.ROOT) + " tokens";
      if (before.has(modality) && after.has(modality)) {
        blocks.add(shareMap("Before, " + name, before.fractions(modality)));
        blocks.add(shareMap("After, " + name, after.fractions(modality)));
      } else {
        blocks.add(new Paragraph("The samples had no " + name + "."));
      }
    }
    return blocks;
  }

  private Table provenance() {
    return new Table(
        "Source",
        List.of(Table.Column.words("What"), Table.Column.words("Which")),
        List.of(
            List.of("model before", source.before()),
            List.of("model after", source.after()),
            List.of("data", source.data()),
            List.of("samples", Numbers.grouped(source.samples())),
            List.of("tokens", Numbers.grouped(source.tokens())),
            List.of("mode", distribution.mode().label())));
  }

  private static String points(double score) {
    return Numbers.fixed(100 * score, 2) + " pp";
  }
}
