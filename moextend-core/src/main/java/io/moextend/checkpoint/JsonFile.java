package io.moextend.checkpoint;

import com.fasterxml.jackson.annotation.JsonSetter;
import com.fasterxml.jackson.annotation.Nulls;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/** Small JSON files that stand beside weights, read into records that check themselves. */
public final class JsonFile {
  /** The index of a model of a million tensors stays below this. */
  private static final long LARGEST = 256L << 20;

  private static final JsonMapper STRICT =
      JsonMapper.builder()
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .enable(
              DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES,
              DeserializationFeature.FAIL_ON_MISSING_CREATOR_PROPERTIES,
              DeserializationFeature.FAIL_ON_NULL_CREATOR_PROPERTIES,
              DeserializationFeature.FAIL_ON_NULL_FOR_PRIMITIVES,
              DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .enable(SerializationFeature.INDENT_OUTPUT)
          .build();

  static {
    // a null inside a list or a map is as wrong as one outside
    STRICT.setDefaultSetterInfo(JsonSetter.Value.construct(Nulls.FAIL, Nulls.FAIL));
  }

  private JsonFile() {}

  /**
   * @throws CheckpointException where the file is not what the record says, naming the file and
   *     what stands wrong in it
   */
  public static <T> T read(Path file, Class<T> type) {
    try {
      long bytes = Files.size(file);
      if (bytes > LARGEST) {
        throw new CheckpointException(
            "%s: %d bytes are more than any such file has; is it the right one?"
                .formatted(file, bytes));
      }
      return STRICT.readValue(Files.readAllBytes(file), type);
    } catch (JsonProcessingException e) {
      if (e.getCause() instanceof CheckpointException refused) {
        throw new CheckpointException(file + ": " + refused.getMessage(), refused);
      }
      throw new CheckpointException(
          "%s: %s%s"
              .formatted(
                  file,
                  CheckpointException.shown(e.getOriginalMessage()),
                  SafetensorsHeader.DAMAGED),
          e);
    } catch (IOException e) {
      throw new CheckpointException(file + ": cannot be read (" + e + ")", e);
    }
  }

  /**
   * Forced to disk.
   *
   * @throws CheckpointException where the file cannot be written
   */
  public static void write(Path file, Object value) {
    try (var channel =
        FileChannel.open(
            file,
            StandardOpenOption.CREATE,
            StandardOpenOption.TRUNCATE_EXISTING,
            StandardOpenOption.WRITE)) {
      ByteBuffer text = StandardCharsets.UTF_8.encode(STRICT.writeValueAsString(value) + "\n");
      while (text.hasRemaining()) {
        channel.write(text);
      }
      channel.force(true);
    } catch (IOException e) {
      throw AtomicFolder.failure(file, e);
    }
  }
}
