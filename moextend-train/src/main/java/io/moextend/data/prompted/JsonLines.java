package io.moextend.data.prompted;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.data.DataException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** A file with one JSON object a line; empty lines do not count. Opening finds the lines. */
final class JsonLines implements Examples {
  static final JsonMapper JSON =
      JsonMapper.builder().enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS).build();

  private static final int BUFFER_BYTES = 1 << 20;
  private static final int LONGEST_LINE_BYTES = 64 << 20;

  private final FileBytes bytes;
  private final ExampleFields fields;
  private long[] starts = new long[1024];
  private int[] lengths = new int[1024];
  private int size;

  private JsonLines(FileBytes bytes, ExampleFields fields) {
    this.bytes = bytes;
    this.fields = fields;
  }

  @MustBeClosed
  static JsonLines open(Path file, ExampleFields fields) {
    return open(file, file.toString(), fields);
  }

  /**
   * @param name how errors call the file
   * @throws DataException if it cannot be read, or its first line is no example
   */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // in the result, which closes it
  static JsonLines open(Path file, String name, ExampleFields fields) {
    FileBytes bytes = FileBytes.open(file, name);
    try {
      var lines = new JsonLines(bytes, fields);
      lines.findLines();
      if (lines.size == 0) {
        throw new DataException(name + " has no examples; is it the right file?");
      }
      lines.read(0);
      return lines;
    } catch (RuntimeException e) {
      bytes.close();
      throw e;
    }
  }

  private void findLines() {
    ByteBuffer buffer = ByteBuffer.allocate(BUFFER_BYTES);
    long read = 0;
    long start = 0;
    boolean blank = true;
    for (long end = bytes.size(); read < end; read += buffer.limit()) {
      buffer.clear();
      bytes.read(read, buffer);
      if (buffer.limit() == 0) {
        break; // it was cut while we read it
      }
      for (int i = 0; i < buffer.limit(); i++) {
        byte here = buffer.get(i);
        if (here == '\n') {
          note(start, read + i, blank);
          start = read + i + 1;
          blank = true;
        } else {
          blank &= here == ' ' || here == '\r' || here == '\t';
        }
      }
    }
    note(start, read, blank);
  }

  private void note(long start, long end, boolean blank) {
    if (blank) {
      return;
    }
    if (end - start > LONGEST_LINE_BYTES) {
      throw new DataException(
          "%s: line of example %d has %,d bytes, more than %,d; is it one object a line?"
              .formatted(bytes.name(), size + 1, end - start, LONGEST_LINE_BYTES));
    }
    if (size == starts.length) {
      starts = Arrays.copyOf(starts, Math.multiplyExact(2, size));
      lengths = Arrays.copyOf(lengths, 2 * size);
    }
    starts[size] = start;
    lengths[size] = (int) (end - start);
    size++;
  }

  @Override
  public int size() {
    return size;
  }

  @Override
  public PromptedExample read(int index) {
    if (index < 0 || index >= size) {
      throw new IndexOutOfBoundsException(
          "%s has %d examples, not %d".formatted(bytes.name(), size, index));
    }
    ByteBuffer line = ByteBuffer.allocate(lengths[index]);
    bytes.read(starts[index], line);
    String where = where(bytes.name(), index);
    try {
      if (JSON.readTree(line.array(), 0, line.limit()) instanceof ObjectNode record) {
        return fields.read(where, record(where, record));
      }
      throw new DataException(where + ": it is no JSON object; write one object a line");
    } catch (JsonProcessingException e) {
      throw new DataException(
          "%s: it is no JSON: %s; mend or take out the line"
              .formatted(where, e.getOriginalMessage()),
          e);
    } catch (IOException e) {
      throw new IllegalStateException(e); // of an array there is none
    }
  }

  static String where(String file, long index) {
    return "%s: example %d".formatted(file, index + 1);
  }

  private Map<String, FieldValue> record(String where, ObjectNode json) {
    var record = new HashMap<String, FieldValue>();
    for (String name : fields.names()) {
      JsonNode value = json.get(name);
      if (value != null && !value.isNull()) {
        record.put(name, value(where, name, value));
      }
    }
    if (record.isEmpty()) {
      // so that the error can say what there is
      json.fieldNames().forEachRemaining(name -> record.put(name, new FieldValue.Nothing()));
    }
    return record;
  }

  private static FieldValue value(String where, String name, JsonNode json) {
    List<JsonNode> elements = new ArrayList<>();
    if (json.isArray()) {
      json.forEach(elements::add);
    } else {
      elements.add(json);
    }
    if (elements.isEmpty()) {
      return new FieldValue.Nothing();
    }
    if (elements.stream().allMatch(JsonNode::isTextual)) {
      return new FieldValue.Texts(elements.stream().map(JsonNode::textValue).toList());
    }
    if (elements.stream().allMatch(e -> e.canConvertToLong() && e.isIntegralNumber())) {
      return new FieldValue.Integers(elements.stream().mapToLong(JsonNode::longValue).toArray());
    }
    if (elements.stream().allMatch(JsonNode::isBoolean)) {
      return new FieldValue.Integers(
          elements.stream().mapToLong(e -> e.booleanValue() ? 1 : 0).toArray());
    }
    if (elements.stream().allMatch(JsonNode::isNumber)) {
      return new FieldValue.Reals(elements.stream().mapToDouble(JsonNode::doubleValue).toArray());
    }
    throw new DataException(
        "%s: %s is neither a text, nor numbers, nor a list of one of them; mend the line"
            .formatted(where, name));
  }

  @Override
  public void close() {
    bytes.close();
  }
}
