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

/** Strict reading and whole writing of extension.json. */
final class ExtensionPlanFile {
  /** A plan of a thousand layers takes a tenth of it. */
  private static final long MOST_BYTES = 1 << 20;

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

  private ExtensionPlanFile() {}

  static ExtensionPlan read(Path file) {
    try {
      long bytes = Files.size(file);
      if (bytes > MOST_BYTES) {
        throw new ConfigException(
            file + " bytes", bytes, "a plan has at most " + MOST_BYTES + "; is this the file?");
      }
      return JSON.readValue(Files.readAllBytes(file), ExtensionPlan.class);
    } catch (JsonMappingException e) {
      throw refused(file, e);
    } catch (JsonProcessingException e) {
      throw new ConfigException(file + ": no JSON: " + e.getOriginalMessage(), e);
    } catch (IOException e) {
      throw new ConfigException(file + ": cannot be read: " + e, e);
    }
  }

  static void write(ExtensionPlan plan, Path file) {
    Path whole = file.toAbsolutePath();
    Path part = whole.resolveSibling(whole.getFileName() + ".part");
    try {
      Files.createDirectories(whole.getParent());
      Files.write(part, JSON.writeValueAsBytes(plan));
      Files.move(part, whole, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    } catch (IOException e) {
      throw new ConfigException(file + ": cannot be written: " + e, e);
    }
  }

  private static ConfigException refused(Path file, JsonMappingException e) {
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
  private static String field(List<JsonMappingException.Reference> path) {
    StringBuilder field = new StringBuilder();
    for (JsonMappingException.Reference at : path) {
      String name = at.getFieldName();
      if (name == null) {
        field.append('[').append(at.getIndex()).append(']');
      } else {
        field.append(field.isEmpty() ? "" : ".").append(name);
      }
    }
    return field.isEmpty() ? "the plan" : field.toString();
  }
}
