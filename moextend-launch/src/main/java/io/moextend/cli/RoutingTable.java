package io.moextend.cli;

import io.moextend.moe.TokenGroup;
import io.moextend.stage.ExpertGroup;
import io.moextend.stage.RoutingStatistics;
import io.moextend.stage.RoutingStatistics.ExpertLoad;
import io.moextend.stage.RoutingStatistics.GroupLoad;
import io.moextend.stage.RoutingStatistics.Layer;
import io.moextend.stage.RoutingStatistics.Load;
import java.io.PrintWriter;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Collectors;

/** Routing as lines of a terminal: the busiest experts of each layer, and what each group gets. */
record RoutingTable(RoutingStatistics routing) {
  void print(PrintWriter out) {
    out.printf(
        "%s, %d of up to %d experts a token; %d samples, %d vision and %d text tokens%n",
        routing.scheme(),
        routing.topK(),
        routing.experts(),
        routing.samples(),
        routing.visionTokens(),
        routing.textTokens());
    for (TokenGroup tokens : List.of(TokenGroup.VISION, TokenGroup.TEXT)) {
      if (routing.tokens(tokens) == 0) {
        out.printf("the samples had no %s tokens%n", word(tokens));
      }
    }
    List<String> groups = groups();
    out.print("layer  tokens  busiest expert   next expert  evenness");
    groups.forEach(group -> out.printf("  %12s", group));
    out.println();
    for (Layer layer : routing.layers()) {
      layer.loads().forEach(load -> print(out, layer, load, groups));
    }
  }

  /** One group is no news. */
  private List<String> groups() {
    var names =
        routing.layers().stream()
            .flatMap(layer -> layer.groups().stream())
            .map(ExpertGroup::name)
            .collect(Collectors.toCollection(LinkedHashSet::new));
    return names.size() < 2 ? List.of() : List.copyOf(names);
  }

  private static String word(TokenGroup tokens) {
    return tokens.name().toLowerCase(Locale.ROOT);
  }

  private void print(PrintWriter out, Layer layer, Load load, List<String> groups) {
    out.printf(
        Locale.ROOT,
        "%5d  %-6s  %14s  %12s  %6.1f %%",
        layer.layer(),
        word(load.tokens()),
        busiest(load, 0),
        busiest(load, 1),
        100 * load.evenness());
    for (String name : groups) {
      Optional<GroupLoad> group =
          load.groups().stream().filter(g -> g.group().equals(name)).findFirst();
      String share = group.map(g -> percent(g.sharePercent())).orElse("-");
      out.printf("  %12s", share);
    }
    out.println();
  }

  private static String busiest(Load load, int place) {
    if (place >= load.busiest().size()) {
      return "-";
    }
    int expert = load.busiest().get(place);
    double share = load.expert(expert).map(ExpertLoad::sharePercent).orElse(0.0);
    return "%d: %s".formatted(expert, percent(share));
  }

  private static String percent(double share) {
    return String.format(Locale.ROOT, "%.1f %%", share);
  }
}
