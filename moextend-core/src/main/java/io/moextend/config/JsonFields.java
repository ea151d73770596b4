package io.moextend.config;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeType;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.SortedSet;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * The fields of one JSON object, read by name and type. Every refusal names the file and the field
 * with its path. A field that is null counts as absent, as in Hugging Face's own reader.
 *
 * @param file as the user knows it
 * @param path of this object inside the file, "" or ending in a dot
 */
record JsonFields(String file, String path, ObjectNode json) {
  private @Nullable JsonNode at(String field) {
    JsonNode value = json.get(field);
    return value == null || value.isNull() ? null : value;
  }

  boolean has(String field) {
    return at(field) != null;
  }

  /** True where the field is there with the value null. */
  boolean isNull(String field) {
    return json.path(field).isNull();
  }

  /** A whole number of at least {@code least}. */
  int count(String field, int least) {
    JsonNode value = required(field, "a whole number");
    if (!value.isInt() || value.intValue() < least) {
      throw wrong(field, "write a whole number of at least " + least);
    }
    return value.intValue();
  }

  int count(String field, int least, int ifAbsent) {
    return has(field) ? count(field, least) : ifAbsent;
  }

  int integer(String field, int ifAbsent) {
    return count(field, Integer.MIN_VALUE, ifAbsent);
  }

  /** A finite number above zero. */
  double positive(String field) {
    JsonNode value = required(field, "a number");
    if (!value.isNumber() || !(value.doubleValue() > 0) || Double.isInfinite(value.doubleValue())) {
      throw wrong(field, "write a number above 0");
    }
    return value.doubleValue();
  }

  double positive(String field, double ifAbsent) {
    return has(field) ? positive(field) : ifAbsent;
  }

  /** A finite number that is not negative. */
  double notNegative(String field, double ifAbsent) {
    JsonNode value = at(field);
    if (value == null) {
      return ifAbsent;
    }
    if (!value.isNumber()
        || !(value.doubleValue() >= 0)
        || Double.isInfinite(value.doubleValue())) {
      throw wrong(field, "write a number of at least 0");
    }
    return value.doubleValue();
  }

  String text(String field) {
    JsonNode value = required(field, "a text");
    if (!value.isTextual()) {
      throw wrong(field, "write a text in quotes");
    }
    return value.textValue();
  }

  String text(String field, String ifAbsent) {
    return has(field) ? text(field) : ifAbsent;
  }

  boolean flag(String field, boolean ifAbsent) {
    JsonNode value = at(field);
    if (value == null) {
      return ifAbsent;
    }
    if (!value.isBoolean()) {
      throw wrong(field, "write true or false");
    }
    return value.booleanValue();
  }

  /** A list of numbers above zero. */
  List<Double> positives(String field) {
    JsonNode value = required(field, "a list of numbers");
    var numbers = new ArrayList<Double>();
    for (JsonNode element : value) {
      numbers.add(element.isNumber() ? element.doubleValue() : Double.NaN);
    }
    if (!value.isArray() || numbers.stream().anyMatch(n -> !(n > 0) || Double.isInfinite(n))) {
      throw wrong(field, "write a list of numbers above 0");
    }
    return numbers;
  }

  /** A token's id, or several in a list; empty where the field is absent. */
  List<Integer> ids(String field) {
    JsonNode value = at(field);
    if (value == null || !value.isArray()) {
      return value == null ? List.of() : List.of(count(field, 0));
    }
    var ids = new ArrayList<Integer>();
    for (JsonNode element : value) {
      if (!element.isInt() || element.intValue() < 0) {
        throw wrong(field, "write a whole number of at least 0, or a list of them");
      }
      ids.add(element.intValue());
    }
    if (ids.isEmpty()) {
      throw wrong(field, "write a whole number of at least 0, or a list of them");
    }
    return ids;
  }

  /** Whole numbers from 0 on, none twice; empty where the field is absent. */
  SortedSet<Integer> indices(String field) {
    var indices = new TreeSet<Integer>();
    JsonNode value = at(field);
    if (value == null) {
      return indices;
    }
    if (!value.isArray()) {
      throw wrong(field, "write a list of whole numbers, such as [0, 2]");
    }
    for (JsonNode element : value) {
      if (!element.isInt() || element.intValue() < 0) {
        throw wrong(field, "write a list of whole numbers from 0 on");
      }
      if (!indices.add(element.intValue())) {
        throw wrong(field, "name " + element.intValue() + " once");
      }
    }
    return indices;
  }

  JsonFields object(String field) {
    JsonNode value = required(field, "an object");
    if (!(value instanceof ObjectNode object)) {
      throw wrong(field, "write an object in braces");
    }
    return new JsonFields(file, path + field + ".", object);
  }

  /** Refuses an option that would change the numbers and is not built, unless it has this value. */
  void only(String field, double known) {
    JsonNode value = at(field);
    if (value != null && (!value.isNumber() || value.doubleValue() != known)) {
      throw wrong(field, "only %s is supported".formatted(known));
    }
  }

  /** Refuses options that are not among those that are built. */
  void nothingBut(Set<String> known) {
    for (var field : json.properties()) {
      if (!known.contains(field.getKey()) && has(field.getKey())) {
        throw wrong(field.getKey(), "is not supported here; known are " + new TreeSet<>(known));
      }
    }
  }

  /** Refuses a switch that is on. */
  void off(String field) {
    if (flag(field, false)) {
      throw wrong(field, "only false is supported");
    }
  }

  /** Refuses a field that is there at all. */
  void absent(String field, String mend) {
    if (has(field)) {
      throw wrong(field, mend);
    }
  }

  ConfigException wrong(String field, String mend) {
    JsonNode value = json.get(field);
    return new ConfigException(
        file + ": " + path + field, value == null ? "absent" : shown(value), mend);
  }

  private JsonNode required(String field, String what) {
    JsonNode value = at(field);
    if (value == null) {
      throw new ConfigException("%s: %s%s is missing; write %s".formatted(file, path, field, what));
    }
    return value;
  }

  private static String shown(JsonNode value) {
    if (value.getNodeType() == JsonNodeType.OBJECT) {
      return "{…}";
    }
    String text = value.toString();
    return text.length() <= 80 ? text : text.substring(0, 80) + "…";
  }
}
