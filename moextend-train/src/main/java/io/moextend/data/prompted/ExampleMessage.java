package io.moextend.data.prompted;

import io.moextend.data.DataException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Reads {@code tf.train.Example}, a protocol buffer: features (1) of entries (1) of a name (1) and
 * a feature (2), which is a list of bytes (1), floats (2) or whole numbers (3), each with values
 * (1), numbers one by one or packed. Fields that are not among these are passed over. Nothing is
 * allocated before as many bytes are there.
 */
final class ExampleMessage {
  private static final int VARINT = 0;
  private static final int FIXED64 = 1;
  private static final int BYTES = 2;
  private static final int FIXED32 = 5;

  private final String where;
  private final Map<String, FieldValue> record = new HashMap<>();

  private ExampleMessage(String where) {
    this.where = where;
  }

  /**
   * @param where how errors name the record
   */
  static Map<String, FieldValue> read(String where, ByteBuffer data) {
    var message = new ExampleMessage(where);
    message.features(data.duplicate().order(ByteOrder.LITTLE_ENDIAN));
    return message.record;
  }

  private void features(ByteBuffer example) {
    while (example.hasRemaining()) {
      ByteBuffer features = part(example, 1);
      while (features != null && features.hasRemaining()) {
        ByteBuffer entry = part(features, 1);
        if (entry != null) {
          entry(entry);
        }
      }
    }
  }

  private void entry(ByteBuffer entry) {
    String name = "";
    FieldValue value = new FieldValue.Nothing();
    while (entry.hasRemaining()) {
      int tag = tag(entry);
      switch (tag) {
        case 1 << 3 | BYTES -> name = text("a name", bytes(entry));
        case 2 << 3 | BYTES -> value = feature(name, bytes(entry));
        default -> skip(tag, entry);
      }
    }
    record.put(name, value);
  }

  private FieldValue feature(String name, ByteBuffer feature) {
    FieldValue value = new FieldValue.Nothing();
    while (feature.hasRemaining()) {
      int tag = tag(feature);
      switch (tag) {
        case 1 << 3 | BYTES -> value = texts(name, bytes(feature));
        case 2 << 3 | BYTES -> value = reals(bytes(feature));
        case 3 << 3 | BYTES -> value = integers(bytes(feature));
        default -> skip(tag, feature);
      }
    }
    return value;
  }

  private FieldValue texts(String name, ByteBuffer list) {
    List<String> texts = new ArrayList<>();
    while (list.hasRemaining()) {
      ByteBuffer value = part(list, 1);
      if (value != null) {
        texts.add(text(name, value));
      }
    }
    return texts.isEmpty() ? new FieldValue.Nothing() : new FieldValue.Texts(texts);
  }

  private FieldValue reals(ByteBuffer list) {
    double[] values = new double[list.remaining() / Float.BYTES];
    int count = 0;
    while (list.hasRemaining()) {
      int tag = tag(list);
      switch (tag) {
        case 1 << 3 | FIXED32 -> values[count++] = need(list, Float.BYTES).getFloat();
        case 1 << 3 | BYTES -> {
          ByteBuffer packed = bytes(list);
          while (packed.hasRemaining()) {
            values[count++] = need(packed, Float.BYTES).getFloat();
          }
        }
        default -> skip(tag, list);
      }
    }
    return count == 0
        ? new FieldValue.Nothing()
        : new FieldValue.Reals(Arrays.copyOf(values, count));
  }

  private FieldValue integers(ByteBuffer list) {
    long[] values = new long[list.remaining()]; // a number takes at least one byte
    int count = 0;
    while (list.hasRemaining()) {
      int tag = tag(list);
      switch (tag) {
        case 1 << 3 | VARINT -> values[count++] = varint(list);
        case 1 << 3 | BYTES -> {
          ByteBuffer packed = bytes(list);
          while (packed.hasRemaining()) {
            values[count++] = varint(packed);
          }
        }
        default -> skip(tag, list);
      }
    }
    return count == 0
        ? new FieldValue.Nothing()
        : new FieldValue.Integers(Arrays.copyOf(values, count));
  }

  private String text(String name, ByteBuffer utf8) {
    byte[] bytes = new byte[utf8.remaining()];
    utf8.get(bytes);
    return ParquetExamples.text(where, name, bytes);
  }

  /** The next field where it has this number, else null. */
  private @Nullable ByteBuffer part(ByteBuffer message, int number) {
    int tag = tag(message);
    if (tag == (number << 3 | BYTES)) {
      return bytes(message);
    }
    skip(tag, message);
    return null;
  }

  private int tag(ByteBuffer message) {
    long tag = varint(message);
    if (tag < 8 || tag > Integer.MAX_VALUE) {
      throw wrong();
    }
    return (int) tag;
  }

  private long varint(ByteBuffer message) {
    long value = 0;
    for (int shift = 0; shift < Long.SIZE; shift += 7) {
      byte next = need(message, 1).get();
      value |= (next & 127L) << shift;
      if (next >= 0) {
        return value;
      }
    }
    throw wrong();
  }

  private ByteBuffer bytes(ByteBuffer message) {
    long length = varint(message);
    if (length < 0 || length > message.remaining()) {
      throw wrong();
    }
    ByteBuffer part = message.slice(message.position(), (int) length);
    message.position(message.position() + (int) length);
    return part.order(ByteOrder.LITTLE_ENDIAN);
  }

  private void skip(int tag, ByteBuffer message) {
    switch (tag & 7) {
      case VARINT -> varint(message);
      case FIXED64 -> need(message, Long.BYTES).getLong();
      case BYTES -> bytes(message);
      case FIXED32 -> need(message, Integer.BYTES).getInt();
      default -> throw wrong();
    }
  }

  private ByteBuffer need(ByteBuffer message, int bytes) {
    if (message.remaining() < bytes) {
      throw wrong();
    }
    return message;
  }

  private DataException wrong() {
    return new DataException(where + ": it is no tf.train.Example; is it a cache of SeqIO?");
  }
}
