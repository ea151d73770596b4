package io.moextend.train;

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.core.JsonLocation;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.dataformat.yaml.YAMLFactory;
import com.fasterxml.jackson.dataformat.yaml.YAMLGenerator;
import com.fasterxml.jackson.dataformat.yaml.YAMLMapper;
import io.moextend.config.ConfigException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.Iterator;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A configuration before it becomes records: read strictly, laid over its defaults, changed by
 * {@code --set}. Faults name the file and the field.
 *
 * @param origin the file, for messages
 */
record YamlTree(String origin, ObjectNode root) {
  static final YAMLMapper YAML =
      YAMLMapper.builder(
              YAMLFactory.builder()
                  .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
                  .disable(YAMLGenerator.Feature.WRITE_DOC_START_MARKER)
                  .enable(YAMLGenerator.Feature.MINIMIZE_QUOTES)
                  .enable(YAMLGenerator.Feature.ALWAYS_QUOTE_NUMBERS_AS_STRINGS)
                  .build())
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .build();

  /**
   * @throws ConfigException where the text is no YAML, holds a field twice, or more than one
   *     document
   */
  static YamlTree parse(String origin, String text) {
    try {
      if (YAML.readTree(text) instanceof ObjectNode root) {
        return new YamlTree(origin, root);
      }
    } catch (JacksonException e) {
      throw new ConfigException(
          "%s%s: %s".formatted(origin, place(e.getLocation()), e.getOriginalMessage()), e);
    }
    throw new ConfigException(origin + " holds no fields; it should look like configs/tiny");
  }

  private static String place(@Nullable JsonLocation at) {
    return at == null ? "" : ", line " + at.getLineNr();
  }

  /** These defaults with {@code over}'s fields in their place; fields unknown here are errors. */
  YamlTree overlaid(YamlTree over) {
    ObjectNode merged = root.deepCopy();
    merge(over.origin, "", merged, over.root);
    return new YamlTree(over.origin, merged);
  }

  private static void merge(String origin, String path, ObjectNode into, ObjectNode from) {
    for (Map.Entry<String, JsonNode> field : from.properties()) {
      String name = path + field.getKey();
      JsonNode known = into.get(field.getKey());
      if (known == null) {
        throw unknown(origin, path, field.getKey(), into);
      }
      if (known instanceof ObjectNode section && !field.getValue().isNull()) {
        if (!(field.getValue() instanceof ObjectNode given)) {
          throw new ConfigException(
              origin + ": " + name, field.getValue(), "is a section of fields, not one value");
        }
        merge(origin, name + ".", section, given);
      } else {
        into.set(field.getKey(), field.getValue());
      }
    }
  }

  /**
   * @param assignment {@code key.path=value}, the value in YAML
   */
  YamlTree set(String assignment) {
    int equals = assignment.indexOf('=');
    if (equals < 1) {
      throw new ConfigException(
          "--set", assignment, "write key.path=value, as in optimizer.learning_rate=1e-4");
    }
    String[] path = assignment.substring(0, equals).strip().split("\\.", -1);
    ObjectNode changed = root.deepCopy();
    ObjectNode at = changed;
    for (int i = 0; i < path.length - 1; i++) {
      String before = String.join(".", Arrays.copyOf(path, i)) + (i > 0 ? "." : "");
      JsonNode next = at.get(path[i]);
      if (next == null) {
        throw unknown("--set", before, path[i], at);
      }
      if (!(next instanceof ObjectNode section)) {
        throw new ConfigException("--set", assignment, before + path[i] + " has no fields");
      }
      at = section;
    }
    String last = path[path.length - 1];
    String before = String.join(".", Arrays.copyOf(path, path.length - 1));
    JsonNode known = at.get(last);
    if (known == null) {
      throw unknown("--set", before.isEmpty() ? "" : before + ".", last, at);
    }
    JsonNode value = value(assignment, assignment.substring(equals + 1));
    if (known instanceof ObjectNode && !value.isNull()) {
      throw new ConfigException(
          "--set", assignment, last + " is a section; name one of its fields, or null");
    }
    at.set(last, value);
    return new YamlTree(origin, changed);
  }

  /**
   * @param text what an assignment gives, in YAML; blank = null
   */
  static JsonNode value(String assignment, String text) {
    try {
      return YAML.readTree(text.isBlank() ? "null" : text);
    } catch (JacksonException e) {
      throw new ConfigException("--set " + assignment + ": " + e.getOriginalMessage(), e);
    }
  }

  private static ConfigException unknown(String origin, String path, String name, ObjectNode in) {
    return new ConfigException(
        "%s: there is no field %s%s%s"
            .formatted(origin, path, name, suggestion(name, in.fieldNames())));
  }

  /** "; did you mean x?" where a known name is close, else the known names. */
  static String suggestion(String name, Iterator<String> knownNames) {
    Collection<String> known = new ArrayList<>();
    knownNames.forEachRemaining(known::add);
    return known.stream()
        .min(Comparator.comparingInt(k -> distance(name, k)))
        .filter(k -> distance(name, k) <= Math.max(2, name.length() / 3))
        .map(k -> "; did you mean " + k + "?")
        .orElse("; known are " + String.join(", ", known));
  }

  /** Letters to insert, delete or replace (Levenshtein). */
  private static int distance(String a, String b) {
    int[] row = new int[b.length() + 1];
    Arrays.setAll(row, j -> j);
    for (int i = 1; i <= a.length(); i++) {
      int diagonal = row[0];
      row[0] = i;
      for (int j = 1; j <= b.length(); j++) {
        int replaced = diagonal + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
        diagonal = row[j];
        row[j] = Math.min(replaced, 1 + Math.min(row[j], row[j - 1]));
      }
    }
    return row[b.length()];
  }
}
