package io.moextend.report;

import io.moextend.moe.TokenGroup;
import io.moextend.stage.RoutingStatistics;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Where the tokens of several models went, side by side.
 *
 * @param models by the names they are shown under
 */
public record RoutingComparison(SequencedMap<String, RoutingStatistics> models) {
  public RoutingComparison {
    models = new LinkedHashMap<>(models);
  }

  /** Of each model a map of vision and one of text tokens, where it met such. */
  public List<Block> maps() {
    return models.entrySet().stream()
        .flatMap(model -> maps(model.getKey(), model.getValue()))
        .toList();
  }

  private static Stream<Block> maps(String model, RoutingStatistics routing) {
    return Stream.of(TokenGroup.VISION, TokenGroup.TEXT)
        .filter(tokens -> routing.tokens(tokens) > 0)
        .map(tokens -> RoutingMaps.map(routing, model + ": experts", tokens));
  }

  /** How evenly each spreads its tokens, and what share its groups have. */
  public Table table() {
    List<List<String>> rows = new ArrayList<>();
    models.forEach(
        (name, routing) ->
            rows.add(
                List.of(
                    name,
                    routing.scheme(),
                    evenness(routing, TokenGroup.VISION),
                    evenness(routing, TokenGroup.TEXT),
                    shares(routing, TokenGroup.VISION),
                    shares(routing, TokenGroup.TEXT))));
    return new Table(
        "Routing side by side",
        List.of(
            Table.Column.words("Model"),
            Table.Column.words("Scheme"),
            Table.Column.numbers("Evenness of vision, %"),
            Table.Column.numbers("Evenness of text, %"),
            Table.Column.words("Where vision goes"),
            Table.Column.words("Where text goes")),
        rows);
  }

  private static String evenness(RoutingStatistics routing, TokenGroup tokens) {
    return routing.tokens(tokens) == 0
        ? "no tokens"
        : Numbers.fixed(100 * routing.evenness(tokens), 1);
  }

  private static String shares(RoutingStatistics routing, TokenGroup tokens) {
    return routing.groupShares(tokens).entrySet().stream()
        .map(share -> share.getKey() + " " + Numbers.fixed(share.getValue(), 1) + " %")
        .collect(Collectors.joining(", "));
  }
}
