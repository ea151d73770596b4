package io.moextend.checkpoint;

import java.nio.file.Path;
import java.util.Collections;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * A small JSON file beside a safetensors file: what each of its tensors' bytes add up to.
 *
 * @param formatVersion 1
 * @param crc32c tensor to {@link Crc32c}
 */
record Checksums(int formatVersion, SortedMap<String, String> crc32c) {
  private static final int VERSION = 1;

  Checksums {
    if (formatVersion != VERSION) {
      throw new CheckpointException(
          "formatVersion %d is not known, %d is; take a newer moextend"
              .formatted(formatVersion, VERSION));
    }
    crc32c = Collections.unmodifiableSortedMap(new TreeMap<>(crc32c));
  }

  static Checksums of(Map<String, String> crc32c) {
    return new Checksums(VERSION, new TreeMap<>(crc32c));
  }

  static Checksums read(Path file) {
    return JsonFile.read(file, Checksums.class);
  }

  void write(Path file) {
    JsonFile.write(file, this);
  }

  /**
   * @param listing what says what the tensor should be, for the message
   * @throws CheckpointException where the tensor's bytes are not those that were written
   */
  static void require(Path file, TensorData tensor, String wanted, Path listing) {
    String found = Crc32c.of(tensor.bytes());
    if (!found.equals(wanted)) {
      throw CheckpointException.ofTensor(
          file,
          tensor.name(),
          "its bytes have CRC-32C %s, %s says %s; the file is damaged: take an earlier checkpoint or another copy"
              .formatted(found, listing.getFileName(), CheckpointException.shown(wanted)));
    }
  }
}
