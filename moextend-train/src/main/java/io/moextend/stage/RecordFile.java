package io.moextend.stage;

import com.fasterxml.jackson.annotation.JsonSetter;
import com.fasterxml.jackson.annotation.Nulls;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonMappingException;
import com.fasterxml.jackson.databind.MapperFeature;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.exc.UnrecognizedPropertyException;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.moextend.config.ConfigException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;

/**
 * Strict reading and whole writing of a record as JSON.
 *
 * @param type of the record
 * @param name what such a file is, for errors: "a plan"
 * @param mostBytes larger files are refused unread
 */
record RecordFile<T>(Class<T> type, String name, long mostBytes) {
  private static final JsonMapper JSON =
      JsonMapper.builder()
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .enable(
              DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES,
              DeserializationFeature.FAIL_ON_MISSING_CREATOR_PROPERTIES,
              DeserializationFeature.FAIL_ON_NULL_CREATOR_PROPERTIES,
              DeserializationFeature.FAIL_ON_NULL_FOR_PRIMITIVES,
              DeserializationFeature.FAIL_ON_TRAILING_TOKENS,
              DeserializationFeature.FAIL_ON_NUMBERS_FOR_ENUMS)
          .disable(DeserializationFeature.ACCEPT_FLOAT_AS_INT)
          .disable(MapperFeature.ALLOW_COERCION_OF_SCALARS)
          .enable(SerializationFeature.INDENT_OUTPUT)
          .defaultSetterInfo(JsonSetter.Value.forContentNulls(Nulls.FAIL))
          .build();

  T read(Path file) {
    try {
      long bytes = Files.size(file);
      if (bytes > mostBytes) {
        throw new ConfigException(
            file + " bytes", bytes, name + " has at most " + mostBytes + "; is this the file?");
      }
      return JSON.readValue(Files.readAllBytes(file), type);
    } catch (JsonMappingException e) {
      throw refused(file, e);
    } catch (JsonProcessingException e) {
      throw new ConfigException(file + ": no JSON: " + e.getOriginalMessage(), e);
    } catch (IOException e) {
      throw new ConfigException(file + ": cannot be read: " + e, e);
    }
  }

  void write(T value, Path file) {
    Path whole = file.toAbsolutePath();
    Path part = whole.resolveSibling(whole.getFileName() + ".part");
    try {
      Files.createDirectories(whole.getParent());
      Files.write(part, JSON.writeValueAsBytes(value));
      Files.move(part, whole, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    } catch (IOException e) {
      throw new ConfigException(file + ": cannot be written: " + e, e);
    }
  }

  private ConfigException refused(Path file, JsonMappingException e) {
    if (e.getCause() instanceof ConfigException ours) {
      return new ConfigException(file + ": " + ours.getMessage(), e);
    }
    String what =
        e instanceof UnrecognizedPropertyException unknown
            ? "there is no such field; known ones are " + unknown.getKnownPropertyIds()
            : e.getOriginalMessage().replaceAll("; `DeserializationFeature.*", "");
    return new ConfigException("%s: %s: %s".formatted(file, field(e.getPath()), what), e);
  }

  /** "extended[1].layer" of Jackson's path. */
  private String field(List<JsonMappingException.Reference> path) {
    StringBuilder field = new StringBuilder();
    for (JsonMappingException.Reference at : path) {
      String name = at.getFieldName();
      if (name == null) {
        field.append('[').append(at.getIndex()).append(']');
      } else {
        field.append(field.isEmpty() ? "" : ".").append(name);
      }
    }
    return field.isEmpty() ? name.replaceFirst("^a ", "the ") : field.toString();
  }
}
