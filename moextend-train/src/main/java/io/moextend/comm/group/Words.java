package io.moextend.comm.group;

import io.moextend.config.ConfigException;
import java.time.Duration;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The environment as numbers and texts, with errors that name the variable. */
record Words(Map<String, String> environment) {
  /** Null where it is not set, or empty. */
  @Nullable String text(String name) {
    String value = environment.get(name);
    return value == null || value.isBlank() ? null : value.strip();
  }

  String text(String name, String otherwise) {
    String value = text(name);
    return value == null ? otherwise : value;
  }

  String required(String name, String mend) {
    String value = text(name);
    if (value == null) {
      throw new ConfigException("%s is not set: %s".formatted(name, mend));
    }
    return value;
  }

  boolean has(String name) {
    return text(name) != null;
  }

  int number(String name, String mend) {
    return parse(name, required(name, mend));
  }

  int number(String name, int otherwise) {
    String value = text(name);
    return value == null ? otherwise : parse(name, value);
  }

  Duration seconds(String name, Duration otherwise) {
    String value = text(name);
    if (value == null) {
      return otherwise;
    }
    double seconds;
    try {
      seconds = Double.parseDouble(value);
    } catch (NumberFormatException e) {
      throw new ConfigException(name, value, "is no number of seconds");
    }
    if (!(seconds >= 0.001 && seconds < 1e7)) {
      throw new ConfigException(name, value, "must be more than 0 and less than ten million");
    }
    return Duration.ofMillis(Math.round(seconds * 1e3));
  }

  private static int parse(String name, String value) {
    try {
      int number = Integer.parseInt(value);
      if (number < 0) {
        throw new ConfigException(name, value, "must not be negative");
      }
      return number;
    } catch (NumberFormatException e) {
      throw new ConfigException(name, value, "is no whole number");
    }
  }
}
