package io.moextend.checkpoint;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import java.util.Set;

/**
 * One safetensors file, mapped. Opening reads the header alone; a tensor's bytes are read by the
 * system when they are touched. Usable from several threads. The memory of every tensor ends with
 * {@link #close}.
 */
public final class SafetensorsFile implements WeightSource {
  private static final int PREFIX = 8;

  private final Path path;
  private final Arena arena;
  private final SafetensorsHeader header;
  private final long dataStart;
  private final MemorySegment data;

  private SafetensorsFile(
      Path path, Arena arena, SafetensorsHeader header, long dataStart, MemorySegment data) {
    this.path = path;
    this.arena = arena;
    this.header = header;
    this.dataStart = dataStart;
    this.data = data;
  }

  /**
   * @throws CheckpointException where the file cannot be read, or is anything but a whole
   *     safetensors file of known types
   */
  public static SafetensorsFile open(Path path) {
    var arena = Arena.ofShared();
    try (var channel = FileChannel.open(path, StandardOpenOption.READ)) {
      var mapped = channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
      long dataStart = PREFIX + headerBytes(path, mapped);
      byte[] json = mapped.asSlice(PREFIX, dataStart - PREFIX).toArray(ValueLayout.JAVA_BYTE);
      var header = SafetensorsHeaderReader.read(path, json);
      var data = mapped.asSlice(dataStart);
      header.checkTiling(path, data.byteSize());
      return new SafetensorsFile(path, arena, header, dataStart, data);
    } catch (IOException e) {
      arena.close();
      throw new CheckpointException(path + ": cannot be read (" + e + ")", e);
    } catch (RuntimeException e) {
      arena.close();
      throw e;
    }
  }

  private static long headerBytes(Path path, MemorySegment mapped) {
    long size = mapped.byteSize();
    if (size < PREFIX) {
      throw new CheckpointException(
          "%s: %d bytes are too few for a safetensors file; it was cut off: fetch it again"
              .formatted(path, size));
    }
    long length = mapped.get(ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN), 0);
    if (length == 0) {
      throw new CheckpointException(path + ": header length 0; this is no safetensors file");
    }
    if (length < 0 || length > SafetensorsHeader.LONGEST) {
      throw new CheckpointException(
          "%s: header length %s is over the limit of %d bytes; this is no safetensors file"
              .formatted(path, Long.toUnsignedString(length), SafetensorsHeader.LONGEST));
    }
    if (length > size - PREFIX) {
      throw new CheckpointException(
          "%s: a header of %d bytes does not fit in a file of %d; it was cut off: fetch it again"
              .formatted(path, length, size));
    }
    return length;
  }

  public Path path() {
    return path;
  }

  /** Free text of the header, "format" and the like. */
  public Map<String, String> metadata() {
    return header.metadata();
  }

  /** Sorted. */
  @Override
  public Set<String> names() {
    return header.entries().keySet();
  }

  @Override
  public TensorData tensor(String name) {
    var entry = entry(name);
    return new TensorData(
        name,
        entry.dtype(),
        entry.shape().clone(),
        data.asSlice(entry.begin(), entry.end() - entry.begin()));
  }

  /** Read from the file again instead of from the mapping, whose pages would count as memory. */
  @Override
  public TensorStream stream(String name) {
    var entry = entry(name);
    return new TensorStream(
        name,
        entry.dtype(),
        entry.shape().clone(),
        new FileRange(path, dataStart + entry.begin(), entry.end() - entry.begin()));
  }

  private SafetensorsHeader.Entry entry(String name) {
    var entry = header.entries().get(name);
    if (entry == null) {
      throw CheckpointException.ofTensor(path, name, "is not in this file");
    }
    return entry;
  }

  @Override
  public String origin() {
    return path.toString();
  }

  @Override
  public void close() {
    arena.close();
  }
}
