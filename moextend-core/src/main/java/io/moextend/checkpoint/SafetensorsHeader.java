package io.moextend.checkpoint;

import io.moextend.array.DType;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.Map;
import java.util.SortedMap;

/**
 * The table of contents of a safetensors file. Where it stands, it has been checked: the tensors
 * tile the data from its first byte to its last.
 *
 * @param metadata free text, "format" and the like
 * @see <a href="https://github.com/huggingface/safetensors#format">the format</a>
 */
record SafetensorsHeader(SortedMap<String, Entry> entries, Map<String, String> metadata) {
  static final String METADATA = "__metadata__";

  /** The longest header that the reference implementation reads. */
  static final long LONGEST = 100_000_000;

  /**
   * @param begin first byte, counted from the end of the header
   * @param end first byte behind it
   */
  record Entry(DType dtype, long[] shape, long begin, long end) {}

  /**
   * @param dataBytes bytes of the file behind the header
   * @throws CheckpointException where tensors overlap, leave a gap or reach past the end
   */
  void checkTiling(Path file, long dataBytes) {
    var ordered = new ArrayList<>(entries.entrySet());
    ordered.sort(
        Comparator.<Map.Entry<String, Entry>>comparingLong(e -> e.getValue().begin())
            .thenComparingLong(e -> e.getValue().end()));
    long reached = 0;
    String before = "";
    for (var named : ordered) {
      Entry entry = named.getValue();
      if (entry.end() > dataBytes) {
        throw CheckpointException.ofTensor(
            file,
            named.getKey(),
            "ends at byte %d of the data, but the file has %d; it was cut off: fetch it again"
                .formatted(entry.end(), dataBytes));
      }
      if (entry.begin() < reached) {
        throw CheckpointException.ofTensor(
            file, named.getKey(), "overlaps " + CheckpointException.shown(before) + DAMAGED);
      }
      if (entry.begin() > reached) {
        throw CheckpointException.ofTensor(
            file, named.getKey(), (entry.begin() - reached) + " unused bytes before it" + DAMAGED);
      }
      reached = entry.end();
      before = named.getKey();
    }
    if (reached != dataBytes) {
      throw new CheckpointException(
          file + ": " + (dataBytes - reached) + " bytes behind the last tensor" + DAMAGED);
    }
  }

  static final String DAMAGED = "; the file is damaged: fetch or write it again";

  /** An entry whose own numbers agree with each other. */
  static Entry entry(Path file, String name, DType dtype, long[] shape, long begin, long end) {
    if (begin < 0 || begin > end) {
      throw CheckpointException.ofTensor(
          file, name, "data_offsets [%d, %d] are no range%s".formatted(begin, end, DAMAGED));
    }
    long wanted;
    try {
      wanted = TensorData.bytesOf(name, dtype, shape);
    } catch (CheckpointException e) {
      throw new CheckpointException(file + ": " + e.getMessage() + DAMAGED, e);
    }
    if (end - begin != wanted) {
      throw CheckpointException.ofTensor(
          file,
          name,
          "%s %s takes %d bytes, but data_offsets give %d%s"
              .formatted(dtype, Arrays.toString(shape), wanted, end - begin, DAMAGED));
    }
    return new Entry(dtype, shape, begin, end);
  }
}
