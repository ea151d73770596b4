package io.moextend.config;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.core.util.DefaultIndenter;
import com.fasterxml.jackson.core.util.DefaultPrettyPrinter;
import com.fasterxml.jackson.core.util.Separators;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * A config.json as its fields stand in it, whatever they mean: for models that are changed in their
 * files and need not be one that runs here. {@link HuggingFaceConfig} says what one means.
 */
public final class PublishedJson {
  private static final long LARGEST = 16 << 20;
  private static final JsonMapper JSON =
      JsonMapper.builder()
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .build();

  private PublishedJson() {}

  /**
   * @param path the file, or the folder it stands in
   * @throws ConfigException naming the file, where it is no JSON object
   */
  public static ObjectNode read(Path path) {
    Path file = fileOf(path);
    try {
      if (Files.size(file) > LARGEST) {
        throw new ConfigException(file + ": is too large for a config.json; is it the right file?");
      }
      JsonNode json = JSON.readTree(Files.readAllBytes(file));
      if (json instanceof ObjectNode object) {
        return object;
      }
      throw new ConfigException(file + ": is no JSON object");
    } catch (JsonProcessingException e) {
      throw new ConfigException(
          "%s: line %d is no JSON (%s)"
              .formatted(
                  file,
                  e.getLocation() == null ? 1 : e.getLocation().getLineNr(),
                  e.getOriginalMessage()),
          e);
    } catch (IOException e) {
      throw new ConfigException(
          file + ": cannot be read (" + e + "); is this the folder of a model?", e);
    }
  }

  /** The file that {@link #read} takes, for messages. */
  public static Path fileOf(Path path) {
    return Files.isDirectory(path) ? path.resolve(HuggingFaceConfig.FILE) : path;
  }

  /**
   * @throws IOException where the disk refuses
   */
  public static void write(ObjectNode json, Path file) throws IOException {
    var layout =
        new DefaultPrettyPrinter(
                Separators.createDefaultInstance()
                    .withObjectFieldValueSpacing(Separators.Spacing.AFTER))
            .withArrayIndenter(DefaultIndenter.SYSTEM_LINEFEED_INSTANCE);
    Files.writeString(file, JSON.writer(layout).writeValueAsString(json) + "\n");
  }
}
