package io.moextend.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.StreamSupport;

/** Facts for a terminal: a block for each section, names to the left. */
final class FactsTable {
  private FactsTable() {}

  static String text(ObjectNode facts) {
    var text = new StringBuilder();
    for (Map.Entry<String, JsonNode> field : facts.properties()) {
      JsonNode value = field.getValue();
      if (value instanceof ObjectNode section) {
        text.append("%n%s%n".formatted(field.getKey()));
        section.properties().forEach(f -> text.append(line("  " + f.getKey(), f.getValue())));
      } else {
        text.append(line(field.getKey(), value));
      }
    }
    return text.toString();
  }

  private static String line(String name, JsonNode value) {
    return "%-26s %s%n".formatted(name, shown(value));
  }

  private static String shown(JsonNode value) {
    if (value instanceof ObjectNode row) {
      return row.properties().stream()
          .map(f -> f.getKey() + " " + shown(f.getValue()))
          .collect(Collectors.joining("  "));
    }
    if (value.isArray()) {
      return StreamSupport.stream(value.spliterator(), false)
          .map(FactsTable::shown)
          .collect(Collectors.joining(", ", "[", "]"));
    }
    if (value.isIntegralNumber()) {
      return String.format(Locale.ROOT, "%,d", value.longValue());
    }
    return value.isNumber()
        ? String.format(Locale.ROOT, "%.6g", value.doubleValue())
        : value.asText();
  }
}
