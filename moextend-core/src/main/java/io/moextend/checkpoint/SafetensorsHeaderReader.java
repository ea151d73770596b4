package io.moextend.checkpoint;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import io.moextend.array.DType;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** Reads the JSON of one header, token by token: a hostile header gets no tree of objects. */
final class SafetensorsHeaderReader {
  private static final int MOST_DIMENSIONS = 32;
  private static final JsonFactory JSON =
      JsonFactory.builder()
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .disable(JsonFactory.Feature.CANONICALIZE_FIELD_NAMES)
          .streamReadConstraints(StreamReadConstraints.builder().maxNestingDepth(8).build())
          .build();

  private final Path file;
  private final JsonParser parser;
  private final TreeMap<String, SafetensorsHeader.Entry> entries = new TreeMap<>();
  private final TreeMap<String, String> metadata = new TreeMap<>();

  private SafetensorsHeaderReader(Path file, JsonParser parser) {
    this.file = file;
    this.parser = parser;
  }

  /**
   * @throws CheckpointException where the text is no header, naming file and tensor
   */
  static SafetensorsHeader read(Path file, byte[] json) {
    // the decoder reports what is no UTF-8, and nothing is guessed from the first bytes
    var text =
        new InputStreamReader(new ByteArrayInputStream(json), StandardCharsets.UTF_8.newDecoder());
    try (JsonParser parser = JSON.createParser(text)) {
      var reader = new SafetensorsHeaderReader(file, parser);
      reader.readObject();
      return new SafetensorsHeader(
          Collections.unmodifiableSortedMap(reader.entries),
          Collections.unmodifiableMap(reader.metadata));
    } catch (IOException e) {
      throw new CheckpointException(
          "%s: the header is not the JSON of a safetensors file (%s)%s"
              .formatted(file, firstLine(e), SafetensorsHeader.DAMAGED),
          e);
    }
  }

  private void readObject() throws IOException {
    if (parser.nextToken() != JsonToken.START_OBJECT) {
      throw new CheckpointException(
          file + ": the header is no JSON object" + SafetensorsHeader.DAMAGED);
    }
    String name = parser.nextFieldName();
    while (name != null) {
      if (name.equals(SafetensorsHeader.METADATA)) {
        readMetadata();
      } else {
        entries.put(name, readEntry(name));
      }
      name = parser.nextFieldName();
    }
    if (parser.nextToken() != null) {
      throw new CheckpointException(
          file + ": text behind the header's object" + SafetensorsHeader.DAMAGED);
    }
  }

  private void readMetadata() throws IOException {
    expect(JsonToken.START_OBJECT, SafetensorsHeader.METADATA, "a map of texts");
    String key = parser.nextFieldName();
    while (key != null) {
      expect(JsonToken.VALUE_STRING, SafetensorsHeader.METADATA, "a map of texts");
      metadata.put(key, parser.getText());
      key = parser.nextFieldName();
    }
  }

  private SafetensorsHeader.Entry readEntry(String name) throws IOException {
    expect(JsonToken.START_OBJECT, name, "an object");
    DType dtype = null;
    long[] shape = null;
    long[] offsets = null;
    String field = parser.nextFieldName();
    while (field != null) {
      switch (field) {
        case "dtype" -> dtype = readDType(name);
        case "shape" -> shape = readLongs(name, field);
        case "data_offsets" -> offsets = readLongs(name, field);
        default -> throw wrong(name, "unknown field " + CheckpointException.shown(field));
      }
      field = parser.nextFieldName();
    }
    long[] range = present(name, "data_offsets", offsets);
    if (range.length != 2) {
      throw wrong(name, "data_offsets has %d numbers instead of 2".formatted(range.length));
    }
    return SafetensorsHeader.entry(
        file,
        name,
        present(name, "dtype", dtype),
        present(name, "shape", shape),
        range[0],
        range[1]);
  }

  private DType readDType(String name) throws IOException {
    expect(JsonToken.VALUE_STRING, name, "dtype as a text");
    String text = parser.getText();
    return switch (text) {
      case "F64" -> DType.F64;
      case "F32" -> DType.F32;
      case "BF16" -> DType.BF16;
      case "F16" -> DType.F16;
      case "I64" -> DType.I64;
      case "I32" -> DType.I32;
      case "I8" -> DType.I8;
      case "U8", "BOOL" -> DType.U8;
      default ->
          throw CheckpointException.ofTensor(
              file,
              name,
              "dtype %s is not known; convert it to one of F64 F32 BF16 F16 I64 I32 I8 U8 BOOL"
                  .formatted(CheckpointException.shown(text)));
    };
  }

  private long[] readLongs(String name, String field) throws IOException {
    expect(JsonToken.START_ARRAY, name, field + " as a list");
    long[] values = new long[MOST_DIMENSIONS];
    int count = 0;
    while (parser.nextToken() != JsonToken.END_ARRAY) {
      if (parser.currentToken() != JsonToken.VALUE_NUMBER_INT) {
        throw wrong(name, field + " holds something other than whole numbers");
      }
      if (count == MOST_DIMENSIONS) {
        throw wrong(name, "%s has more than %d numbers".formatted(field, MOST_DIMENSIONS));
      }
      if (parser.getNumberType() == JsonParser.NumberType.BIG_INTEGER) {
        throw wrong(name, field + " holds a number beyond 64 bits");
      }
      values[count++] = parser.getLongValue();
    }
    return Arrays.copyOf(values, count);
  }

  private <T> T present(String name, String field, @Nullable T value) {
    if (value == null) {
      throw wrong(name, field + " is missing");
    }
    return value;
  }

  private void expect(JsonToken wanted, String name, String what) throws IOException {
    if (parser.nextToken() != wanted) {
      throw wrong(name, "wants " + what);
    }
  }

  private CheckpointException wrong(String name, String what) {
    return CheckpointException.ofTensor(file, name, what + SafetensorsHeader.DAMAGED);
  }

  private static String firstLine(IOException e) {
    return CheckpointException.shown(
        String.valueOf(e.getMessage()).lines().findFirst().orElse("no text"));
  }
}
