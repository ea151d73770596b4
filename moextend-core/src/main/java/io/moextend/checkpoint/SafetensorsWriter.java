package io.moextend.checkpoint;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Collection;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.zip.CRC32C;

/**
 * Writes safetensors files. Within a file wide types come first, then names in order, so that every
 * tensor starts at a multiple of its element's size; the data starts at a multiple of 64 bytes. The
 * same tensors give the same bytes.
 *
 * <p>Files are forced to disk, but a crash may leave half of one: write inside an {@link
 * AtomicFolder}.
 */
public final class SafetensorsWriter {
  /** What Hugging Face cuts at when nothing else is asked. */
  public static final long DEFAULT_SHARD_BYTES = 5_000_000_000L;

  private static final int ALIGNMENT = 64;
  private static final int STAGING_BYTES = 4 << 20;
  private static final Map<String, String> FORMAT = Map.of("format", "pt");
  private static final Comparator<TensorStream> IN_FILE =
      Comparator.<TensorStream>comparingInt(t -> -t.dtype().bytes())
          .thenComparing(TensorStream::name);

  private SafetensorsWriter() {}

  /** Writes one file with the metadata that Hugging Face expects of PyTorch weights. */
  public static SortedMap<String, String> writeFile(Path file, Collection<TensorStream> tensors) {
    return writeFile(file, tensors, FORMAT);
  }

  /**
   * @param file must not exist yet
   * @return the CRC-32C of each tensor's bytes, by name, as eight hexadecimal digits
   * @throws CheckpointException where a name comes twice, or the file cannot be written; the
   *     message has the path and the room left on its disk
   */
  public static SortedMap<String, String> writeFile(
      Path file, Collection<TensorStream> tensors, Map<String, String> metadata) {
    var ordered = byName(file, tensors).values().stream().sorted(IN_FILE).toList();
    var sums = new TreeMap<String, String>();
    try (var channel =
        FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
      writeFully(channel, header(ordered, metadata));
      ByteBuffer staging = ByteBuffer.allocate(STAGING_BYTES);
      for (TensorStream tensor : ordered) {
        long before = channel.position();
        var crc = new CRC32C();
        tensor.content().writeTo(bytes -> write(channel, bytes, staging, crc));
        sums.put(tensor.name(), Crc32c.hex(crc));
        long written = channel.position() - before;
        if (written != tensor.bytes()) {
          throw new IllegalStateException(
              "%s: tensor %s gave %d bytes instead of %d"
                  .formatted(file, tensor.name(), written, tensor.bytes()));
        }
      }
      channel.force(true);
    } catch (IOException e) {
      throw AtomicFolder.failure(file, e);
    }
    return Collections.unmodifiableSortedMap(sums);
  }

  /**
   * Writes model.safetensors, or where that would be larger than {@code maxShardBytes}
   * model-00001-of-0000N.safetensors and model.safetensors.index.json. A tensor is never cut: one
   * that is larger than a shard has a shard of its own.
   *
   * @param folder exists
   * @throws CheckpointException as {@link #writeFile}
   */
  public static void writeModel(Path folder, Collection<TensorStream> tensors, long maxShardBytes) {
    var shards = ShardPlan.of(byName(folder, tensors).values(), maxShardBytes);
    for (var shard : shards.files().entrySet()) {
      writeFile(folder.resolve(shard.getKey()), shard.getValue());
    }
    if (shards.files().size() > 1) {
      shards.index().write(folder.resolve(ShardIndex.FILE), shards.totalBytes());
    }
  }

  private static TreeMap<String, TensorStream> byName(
      Path where, Collection<TensorStream> tensors) {
    var byName = new TreeMap<String, TensorStream>();
    for (TensorStream tensor : tensors) {
      if (byName.put(tensor.name(), tensor) != null) {
        throw CheckpointException.ofTensor(where, tensor.name(), "would be written twice");
      }
    }
    return byName;
  }

  private static ByteBuffer header(List<TensorStream> ordered, Map<String, String> metadata)
      throws IOException {
    var text = new ByteArrayOutputStream();
    try (JsonGenerator json = new JsonFactory().createGenerator(text)) {
      json.writeStartObject();
      json.writeObjectFieldStart(SafetensorsHeader.METADATA);
      for (var entry : new TreeMap<>(metadata).entrySet()) {
        json.writeStringField(entry.getKey(), entry.getValue());
      }
      json.writeEndObject();
      long begin = 0;
      for (TensorStream tensor : ordered) {
        json.writeObjectFieldStart(tensor.name());
        json.writeStringField("dtype", tensor.dtype().name());
        json.writeFieldName("shape");
        json.writeArray(tensor.shape(), 0, tensor.shape().length);
        json.writeFieldName("data_offsets");
        json.writeArray(new long[] {begin, begin + tensor.bytes()}, 0, 2);
        json.writeEndObject();
        begin += tensor.bytes();
      }
      json.writeEndObject();
    }
    while ((Long.BYTES + text.size()) % ALIGNMENT != 0) {
      text.write(' ');
    }
    return ByteBuffer.allocate(Long.BYTES + text.size())
        .order(ByteOrder.LITTLE_ENDIAN)
        .putLong(text.size())
        .put(text.toByteArray())
        .flip();
  }

  /** Through a buffer, since a segment over a float[] has no view as bytes of its own. */
  private static void write(
      FileChannel channel, MemorySegment bytes, ByteBuffer staging, CRC32C crc) throws IOException {
    MemorySegment room = MemorySegment.ofArray(staging.array());
    for (long at = 0; at < bytes.byteSize(); at += staging.capacity()) {
      long count = Math.min(staging.capacity(), bytes.byteSize() - at);
      MemorySegment.copy(bytes, at, room, 0, count);
      crc.update(staging.array(), 0, (int) count);
      writeFully(channel, staging.clear().limit((int) count));
    }
  }

  private static void writeFully(FileChannel channel, ByteBuffer bytes) throws IOException {
    while (bytes.hasRemaining()) {
      int written = channel.write(bytes);
      if (written < 0) {
        throw new IOException("the channel takes no more bytes");
      }
    }
  }
}
