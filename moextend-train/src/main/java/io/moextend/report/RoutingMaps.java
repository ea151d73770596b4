package io.moextend.report;

import io.moextend.moe.TokenGroup;
import io.moextend.report.HeatMap.Cell;
import io.moextend.stage.ExpertGroup;
import io.moextend.stage.RoutingStatistics;
import io.moextend.stage.RoutingStatistics.ExpertLoad;
import io.moextend.stage.RoutingStatistics.Layer;
import io.moextend.stage.RoutingStatistics.Load;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * Where a model's tokens went, as blocks of a report: group shares as bars, a map of layers and
 * experts for each modality, and the busiest experts as a table.
 */
public final class RoutingMaps {
  private final RoutingStatistics routing;

  /** All of a layer's, over all layers; MoExtend's layers have not all the same. */
  private final List<String> groups;

  private RoutingMaps(RoutingStatistics routing) {
    this.routing = routing;
    this.groups =
        List.copyOf(
            routing.layers().stream()
                .flatMap(layer -> layer.groups().stream())
                .map(ExpertGroup::name)
                .collect(Collectors.toCollection(LinkedHashSet::new)));
  }

  /** One model's maps, to stand alone or beside another's. */
  public static List<Block> blocks(RoutingStatistics routing) {
    var maps = new RoutingMaps(routing);
    List<Block> blocks = new ArrayList<>();
    blocks.add(new Paragraph(maps.counted()));
    blocks.addAll(maps.groupBars());
    maps.shown().forEach(tokens -> blocks.add(maps.map("Experts", tokens)));
    blocks.add(maps.busiest());
    return List.copyOf(blocks);
  }

  /** A map of what some of a model's tokens chose. */
  static Block map(RoutingStatistics routing, String what, TokenGroup tokens) {
    return new RoutingMaps(routing).map(what, tokens);
  }

  /** Every figure of every expert. */
  public static Table experts(RoutingStatistics routing) {
    return new RoutingMaps(routing).everyExpert();
  }

  /** "vision tokens". */
  static String name(TokenGroup tokens) {
    return switch (tokens) {
      case ALL -> "all tokens";
      case VISION -> "vision tokens";
      case TEXT -> "text tokens";
    };
  }

  private String counted() {
    String missing =
        Arrays.stream(TokenGroup.values())
            .filter(tokens -> routing.tokens(tokens) == 0)
            .map(tokens -> " The samples had no %s.".formatted(name(tokens)))
            .collect(Collectors.joining());
    return "%s, %d of up to %d experts for each token; %s vision and %s text tokens of %s samples. %s%s"
        .formatted(
            routing.scheme(),
            routing.topK(),
            routing.experts(),
            Numbers.grouped(routing.visionTokens()),
            Numbers.grouped(routing.textTokens()),
            Numbers.grouped(routing.samples()),
            routing.vision().explanation(),
            missing);
  }

  /** Where one modality is missing, the other is all there is. */
  private List<TokenGroup> shown() {
    List<TokenGroup> apart =
        List.of(TokenGroup.VISION, TokenGroup.TEXT).stream()
            .filter(tokens -> routing.tokens(tokens) > 0)
            .toList();
    return apart.size() == 1 ? apart : List.of(TokenGroup.VISION, TokenGroup.TEXT, TokenGroup.ALL);
  }

  private List<Block> groupBars() {
    if (groups.size() < 2) {
      return List.of();
    }
    List<BarChart.Bar> bars =
        shown().stream()
            .map(
                tokens -> {
                  Map<String, Double> shares = routing.groupShares(tokens);
                  return bar(name(tokens), groups, shares);
                })
            .toList();
    return List.of(
        bars("Slots by group of experts, over all layers", bars),
        new Details(
            "Groups of experts, layer by layer", shown().stream().map(this::groupBarsOf).toList()));
  }

  private Block groupBarsOf(TokenGroup tokens) {
    List<BarChart.Bar> bars = new ArrayList<>();
    for (Layer layer : routing.layers()) {
      Map<String, Double> shares =
          layer.load(tokens).stream()
              .flatMap(load -> load.groups().stream())
              .collect(
                  Collectors.toMap(
                      RoutingStatistics.GroupLoad::group,
                      RoutingStatistics.GroupLoad::sharePercent));
      bars.add(bar("layer " + layer.layer(), groups, shares));
    }
    return bars("Slots of %s by group of experts".formatted(name(tokens)), bars);
  }

  private BarChart bars(String title, List<BarChart.Bar> bars) {
    return new BarChart(title, Unit.PERCENT, groups, "", bars);
  }

  private static BarChart.Bar bar(String label, List<String> groups, Map<String, Double> percent) {
    return new BarChart.Bar(
        label, groups.stream().map(g -> percent.getOrDefault(g, 0.0) / 100).toList(), null);
  }

  private HeatMap map(String what, TokenGroup tokens) {
    List<List<Double>> values = new ArrayList<>();
    Set<Cell> framed = new HashSet<>();
    Set<Cell> blank = new HashSet<>();
    for (int row = 0; row < routing.layers().size(); row++) {
      Optional<Load> load = routing.layers().get(row).load(tokens);
      List<Double> shares = new ArrayList<>();
      for (int e = 0; e < routing.experts(); e++) {
        int expert = e;
        Optional<ExpertLoad> found = load.flatMap(l -> l.expert(expert));
        if (found.isEmpty()) {
          blank.add(new Cell(row, e));
        }
        shares.add(found.map(f -> f.sharePercent() / 100).orElse(0.0));
      }
      values.add(shares);
      for (int expert : load.map(Load::busiest).orElse(List.of())) {
        framed.add(new Cell(row, expert));
      }
    }
    return new HeatMap(
        what + " of " + name(tokens) + ", % of each layer's slots",
        new HeatMap.Names(
            "layer",
            "expert",
            routing.layers().stream().map(l -> Integer.toString(l.layer())).toList(),
            HeatMap.Names.numbers(routing.experts())),
        values,
        Unit.PERCENT,
        HeatMap.Shade.FROM_ZERO,
        new HeatMap.Marks(framed, Set.of(), blank, key(!blank.isEmpty())));
  }

  private static String key(boolean blanks) {
    String framed = "Framed: the two experts with the most slots.";
    return blanks ? framed + " Empty: experts these tokens cannot choose." : framed;
  }

  private Table busiest() {
    List<List<String>> rows = new ArrayList<>();
    for (Layer layer : routing.layers()) {
      for (TokenGroup tokens : shown()) {
        layer.load(tokens).ifPresent(load -> rows.add(busiest(layer, load)));
      }
    }
    return new Table(
        "The two busiest experts",
        List.of(
            Table.Column.numbers("Layer"),
            Table.Column.words("Tokens"),
            Table.Column.numbers("Expert"),
            Table.Column.numbers("Its share, %"),
            Table.Column.numbers("Next"),
            Table.Column.numbers("Its share, %"),
            Table.Column.numbers("Entropy, bits"),
            Table.Column.numbers("Evenness, %")),
        rows);
  }

  private static List<String> busiest(Layer layer, Load load) {
    List<String> row = new ArrayList<>();
    row.add(Integer.toString(layer.layer()));
    row.add(name(load.tokens()));
    for (int i = 0; i < 2; i++) {
      Optional<ExpertLoad> expert =
          i < load.busiest().size() ? load.expert(load.busiest().get(i)) : Optional.empty();
      row.add(expert.map(e -> Integer.toString(e.expert())).orElse(""));
      row.add(expert.map(e -> Numbers.fixed(e.sharePercent(), 1)).orElse(""));
    }
    row.add(Numbers.fixed(load.entropyBits(), 3));
    row.add(Numbers.fixed(100 * load.evenness(), 1));
    return row;
  }

  private Table everyExpert() {
    List<List<String>> rows = new ArrayList<>();
    for (Layer layer : routing.layers()) {
      for (TokenGroup tokens : shown()) {
        layer
            .load(tokens)
            .ifPresent(
                load -> load.experts().forEach(expert -> rows.add(row(layer, load, expert))));
      }
    }
    return new Table(
        "Every expert that the tokens can choose",
        List.of(
            Table.Column.numbers("Layer"),
            Table.Column.words("Tokens"),
            Table.Column.numbers("Expert"),
            Table.Column.words("Group"),
            Table.Column.numbers("Slots"),
            Table.Column.numbers("Share, %"),
            Table.Column.numbers("Mean weight"),
            Table.Column.numbers("First choice of, %")),
        rows);
  }

  private static List<String> row(Layer layer, Load load, ExpertLoad expert) {
    String group =
        layer.groups().stream()
            .filter(g -> g.has(expert.expert()))
            .map(ExpertGroup::name)
            .findFirst()
            .orElse("");
    return List.of(
        Integer.toString(layer.layer()),
        name(load.tokens()),
        Integer.toString(expert.expert()),
        group,
        Numbers.grouped(expert.slots()),
        Numbers.fixed(expert.sharePercent(), 2),
        expert.slots() == 0 ? "" : Numbers.fixed(expert.meanWeight(), 4),
        Numbers.fixed(expert.firstChoicePercent(), 2));
  }
}
