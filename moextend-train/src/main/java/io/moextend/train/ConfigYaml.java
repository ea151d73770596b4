package io.moextend.train;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import io.moextend.config.ConfigException;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;

/**
 * Reads a run's configuration over its defaults, and writes it.
 *
 * @param type the whole configuration
 * @param defaults the file beside this class that says what may be left out
 */
record ConfigYaml<T extends Record>(Class<T> type, String defaults) {
  /**
   * @param overrides {@code key.path=value}, as typed after --set; the last one counts
   * @throws ConfigException where the file cannot be read or a field is unknown, missing or wrong
   */
  T read(Path file, List<String> overrides) {
    try {
      return parse(file.toString(), Files.readString(file), overrides);
    } catch (IOException e) {
      throw new ConfigException("cannot read the configuration " + file + ": " + e, e);
    }
  }

  /**
   * @param origin what to call the text in messages
   */
  T parse(String origin, String text, List<String> overrides) {
    YamlTree tree = defaultTree().overlaid(YamlTree.parse(origin, text));
    for (String override : overrides) {
      tree = tree.set(override);
    }
    return StrictRecords.read(tree, type);
  }

  /**
   * One text, whatever the rest of the file is: to find out what kind of configuration it is.
   *
   * @param overrides as in {@link #read}; only one of this field counts
   */
  String text(Path file, List<String> overrides, String section, String field) {
    try {
      YamlTree tree = YamlTree.parse(file.toString(), Files.readString(file));
      JsonNode value = tree.root().path(section).path(field);
      String path = section + "." + field;
      for (String override : overrides) {
        if (override.strip().startsWith(path + "=")) {
          value = YamlTree.value(override, override.substring(override.indexOf('=') + 1));
        }
      }
      if (!value.isTextual() || value.asText().isBlank()) {
        throw new ConfigException("%s: %s has no value, and needs one".formatted(file, path));
      }
      return value.asText();
    } catch (IOException e) {
      throw new ConfigException("cannot read the configuration " + file + ": " + e, e);
    }
  }

  private YamlTree defaultTree() {
    try (InputStream in = ConfigYaml.class.getResourceAsStream(defaults)) {
      if (in == null) {
        throw new IllegalStateException(defaults + " is not beside ConfigYaml");
      }
      return YamlTree.parse(defaults, new String(in.readAllBytes(), StandardCharsets.UTF_8));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static String text(Record config) {
    try {
      return YamlTree.YAML.writeValueAsString(StrictRecords.write(config));
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }

  /** The values of some fields, by their paths. */
  static SequencedMap<String, String> values(Record config, List<String> fields) {
    var values = new LinkedHashMap<String, String>();
    JsonNode tree = StrictRecords.write(config);
    for (String field : fields) {
      JsonNode value = tree.at("/" + field.replace('.', '/'));
      if (value.isMissingNode()) {
        throw new IllegalStateException("no field " + field);
      }
      values.put(field, value.toString());
    }
    return values;
  }
}
