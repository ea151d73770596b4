package io.moextend.data.prompted;

import io.moextend.data.DataException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.zip.CRC32C;

/**
 * The records of a TFRecord file: each a length (8 bytes, little-endian), its checksum, the data,
 * and their checksum. Opening goes from length to length and keeps every sixteenth place, half a
 * byte for each record.
 */
final class RecordBytes implements AutoCloseable {
  private static final int KEPT = 16;
  private static final int HEAD = Long.BYTES + Integer.BYTES;
  private static final int TAIL = Integer.BYTES;
  private static final int LONGEST_BYTES = 16 << 20;
  private static final int MASK = 0xa282ead8;

  private final FileBytes bytes;
  private final long end;
  private long[] starts = new long[64];
  private int size;

  /**
   * @param bytes closed with this object
   * @throws DataException if a length is wrong, or the file ends inside of a record
   */
  RecordBytes(FileBytes bytes) {
    this.bytes = bytes;
    this.end = bytes.size();
    for (long at = 0; at < end; ) {
      if (size % KEPT == 0) {
        int place = size / KEPT;
        starts = place < starts.length ? starts : Arrays.copyOf(starts, 2 * place);
        starts[place] = at;
      }
      at += HEAD + length(at, size) + TAIL;
      size = Math.incrementExact(size);
    }
  }

  int size() {
    return size;
  }

  String where(int index) {
    return JsonLines.where(bytes.name(), index);
  }

  /**
   * @return the data, checked
   */
  ByteBuffer read(int index) {
    if (index < 0 || index >= size) {
      throw new IndexOutOfBoundsException(
          "%s has %d records, not %d".formatted(bytes.name(), size, index));
    }
    long at = starts[index / KEPT];
    for (int i = index - index % KEPT; i < index; i++) {
      at += HEAD + length(at, i) + TAIL;
    }
    int length = length(at, index);
    ByteBuffer data = buffer(length + TAIL);
    bytes.read(at + HEAD, data);
    if (data.limit() < length + TAIL) {
      throw cut(index);
    }
    int stored = data.getInt(length);
    data.limit(length);
    if (stored != masked(data)) {
      throw new DataException(
          "%s: its bytes and their checksum disagree; copy the file anew".formatted(where(index)));
    }
    return data;
  }

  private int length(long at, int index) {
    ByteBuffer head = buffer(HEAD);
    bytes.read(at, head);
    if (head.limit() < HEAD) {
      throw cut(index);
    }
    long length = head.getLong(0);
    int stored = head.getInt(Long.BYTES);
    if (stored != masked(head.limit(Long.BYTES))) {
      throw new DataException(
          "%s: its length and its checksum disagree; is it a TFRecord file without compression? Copy it anew"
              .formatted(where(index)));
    }
    if (length < 0 || length > LONGEST_BYTES) {
      throw new DataException(
          "%s: it claims %s bytes, more than %,d"
              .formatted(where(index), Long.toUnsignedString(length), LONGEST_BYTES));
    }
    if (length > end - at - HEAD - TAIL) {
      throw cut(index);
    }
    return (int) length;
  }

  private DataException cut(int index) {
    return new DataException(
        "%s: the file ends inside of it; copy it anew".formatted(where(index)));
  }

  private static ByteBuffer buffer(int bytes) {
    return ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  /** CRC-32C turned by 15 bits and moved, as a checksum of checksums says little. */
  private static int masked(ByteBuffer bytes) {
    var crc = new CRC32C();
    crc.update(bytes.duplicate().position(0));
    return Integer.rotateRight((int) crc.getValue(), 15) + MASK;
  }

  @Override
  public void close() {
    bytes.close();
  }
}
