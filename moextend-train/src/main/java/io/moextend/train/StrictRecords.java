package io.moextend.train;

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonMappingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.MapperFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.SerializerProvider;
import com.fasterxml.jackson.databind.exc.InvalidFormatException;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.module.SimpleModule;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.databind.ser.std.StdSerializer;
import io.moextend.config.ConfigException;
import java.io.IOException;
import java.lang.reflect.AnnotatedType;
import java.lang.reflect.RecordComponent;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Turns a tree into nested records and back. Every component must be there; one may be null only
 * where it is {@code @Nullable}; nothing is converted from another type.
 */
final class StrictRecords {
  private static final ObjectMapper MAPPER =
      JsonMapper.builder()
          .propertyNamingStrategy(new Names())
          .enable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
          .enable(DeserializationFeature.FAIL_ON_MISSING_CREATOR_PROPERTIES)
          .enable(DeserializationFeature.FAIL_ON_NULL_FOR_PRIMITIVES)
          .enable(DeserializationFeature.FAIL_ON_NUMBERS_FOR_ENUMS)
          .disable(DeserializationFeature.ACCEPT_FLOAT_AS_INT)
          .disable(MapperFeature.ALLOW_COERCION_OF_SCALARS)
          .addModule(new SimpleModule().addSerializer(new PathAsText()))
          .build();

  private StrictRecords() {}

  /** An underscore before every capital: Jackson's own makes "zloss" of ZLoss. */
  private static final class Names extends PropertyNamingStrategies.NamingBase {
    private static final long serialVersionUID = 1L;

    @Override
    public String translate(String component) {
      return component.replaceAll("([A-Z])", "_$1").toLowerCase(Locale.ROOT);
    }
  }

  /** Jackson writes a path as a file: address; we want what the user wrote. */
  private static final class PathAsText extends StdSerializer<Path> {
    private static final long serialVersionUID = 1L;

    PathAsText() {
      super(Path.class);
    }

    @Override
    public void serialize(Path value, JsonGenerator out, SerializerProvider provider)
        throws IOException {
      out.writeString(value.toString());
    }
  }

  static ObjectNode write(Record value) {
    return MAPPER.valueToTree(value);
  }

  static <T extends Record> T read(YamlTree tree, Class<T> type) {
    check(tree.origin(), "", tree.root(), type);
    try {
      return MAPPER.treeToValue(tree.root(), type);
    } catch (InvalidFormatException e) {
      throw new ConfigException(
          tree.origin() + ": " + path(e), String.valueOf(e.getValue()), wanted(e.getTargetType()));
    } catch (JsonMappingException e) {
      if (e.getCause() instanceof ConfigException fault) {
        throw new ConfigException(tree.origin() + ": " + fault.getMessage(), fault);
      }
      throw new ConfigException(tree.origin() + ": " + path(e) + ": " + e.getOriginalMessage(), e);
    } catch (JacksonException e) {
      throw new ConfigException(tree.origin() + ": " + e.getOriginalMessage(), e);
    }
  }

  private static void check(String origin, String path, JsonNode node, Class<?> type) {
    for (String name : (Iterable<String>) node::fieldNames) {
      if (Arrays.stream(type.getRecordComponents()).noneMatch(c -> name(c).equals(name))) {
        throw new ConfigException(
            "%s: there is no field %s%s%s"
                .formatted(
                    origin,
                    path,
                    name,
                    YamlTree.suggestion(
                        name,
                        Arrays.stream(type.getRecordComponents())
                            .map(StrictRecords::name)
                            .iterator())));
      }
    }
    for (RecordComponent component : type.getRecordComponents()) {
      String field = path + name(component);
      JsonNode value = node.get(name(component));
      if (value == null) {
        throw new ConfigException("%s: %s is missing".formatted(origin, field));
      }
      if (value.isNull() && !isNullable(component.getAnnotatedType())) {
        throw new ConfigException("%s: %s has no value, and needs one".formatted(origin, field));
      }
      for (JsonNode element : value.isArray() ? value : MAPPER.createArrayNode()) {
        if (element.isNull()) {
          throw new ConfigException(origin + ": " + field, value, "one of the list has no value");
        }
      }
      if (component.getType().isRecord() && !value.isNull()) {
        if (!value.isObject()) {
          throw new ConfigException(origin + ": " + field, value, "is a section of fields");
        }
        check(origin, field + ".", value, component.getType());
      }
    }
  }

  private static boolean isNullable(AnnotatedType type) {
    return type.isAnnotationPresent(Nullable.class);
  }

  private static String name(RecordComponent component) {
    return new Names().translate(component.getName());
  }

  private static String path(JsonMappingException e) {
    return e.getPath().stream()
        .map(r -> r.getFieldName() == null ? "[" + r.getIndex() + "]" : r.getFieldName())
        .collect(Collectors.joining("."))
        .replace(".[", "[");
  }

  private static String wanted(Class<?> type) {
    if (type.isEnum()) {
      return "known are "
          + Arrays.stream(type.getEnumConstants())
              .map(c -> MAPPER.convertValue(c, String.class))
              .collect(Collectors.joining(", "));
    }
    return "a value of type " + type.getSimpleName() + " is wanted";
  }
}
