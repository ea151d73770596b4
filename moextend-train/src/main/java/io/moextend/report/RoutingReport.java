package io.moextend.report;

import io.moextend.stage.RoutingFile;
import io.moextend.stage.RoutingStatistics;
import java.util.List;

/** Where one model's tokens went, with every figure. */
public final class RoutingReport {
  private RoutingReport() {}

  /**
   * @param numbers what the page shows
   */
  public static HtmlReport of(RoutingFile numbers) {
    RoutingStatistics routing = numbers.routing();
    String lead =
        "%d layers with experts, counted over %s samples of %s."
            .formatted(
                routing.layers().size(),
                Numbers.grouped(routing.samples()),
                numbers.source().data());
    return new HtmlReport(
        "Routing",
        lead,
        List.of(
            new Section("Where tokens go", RoutingMaps.blocks(routing)),
            Section.of("Every expert", RoutingMaps.experts(routing)),
            Section.of("Where the numbers come from", provenance(numbers))));
  }

  private static Table provenance(RoutingFile numbers) {
    RoutingStatistics routing = numbers.routing();
    return new Table(
        "Source",
        List.of(Table.Column.words("What"), Table.Column.words("Which")),
        List.of(
            List.of("model", numbers.source().model()),
            List.of("scheme", routing.scheme()),
            List.of("data", numbers.source().data()),
            List.of("samples", Numbers.grouped(routing.samples())),
            List.of("vision tokens", Numbers.grouped(routing.visionTokens())),
            List.of("text tokens", Numbers.grouped(routing.textTokens()))));
  }
}
