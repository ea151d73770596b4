package io.moextend.checkpoint;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * delta.json.
 *
 * @param formatVersion 2; version 1 had no checksums
 */
record DeltaListing(int formatVersion, Fingerprint base, SortedMap<String, Stored> tensors) {
  static final String FILE = "delta.json";
  private static final int VERSION = 2;

  /**
   * One tensor.
   *
   * @param file bare name of the file it lies in
   * @param crc32c of its bytes
   */
  record Stored(String file, String crc32c) {
    Stored {
      if (!crc32c.matches(Crc32c.FORM)) {
        throw new CheckpointException(
            "\"%s\" is no CRC-32C: 8 hexadecimal digits are wanted"
                .formatted(CheckpointException.shown(crc32c)));
      }
    }
  }

  /** What tells an older file from a damaged one. */
  @JsonIgnoreProperties(ignoreUnknown = true)
  private record Version(int formatVersion) {
    Version {
      if (formatVersion != VERSION) {
        throw new CheckpointException(
            "formatVersion %d is not known, %d is; %s"
                .formatted(
                    formatVersion,
                    VERSION,
                    formatVersion > VERSION
                        ? "take a newer moextend"
                        : "write it again with this moextend, or use the one it was written with"));
      }
    }
  }

  DeltaListing {
    tensors = Collections.unmodifiableSortedMap(new TreeMap<>(tensors));
  }

  static DeltaListing of(Fingerprint base, SortedMap<String, Stored> tensors) {
    return new DeltaListing(VERSION, base, tensors);
  }

  static boolean isIn(Path folder) {
    return Files.exists(folder.resolve(FILE));
  }

  static DeltaListing read(Path folder) {
    Path file = CheckpointFolder.inside(folder, FILE, folder);
    JsonFile.read(file, Version.class);
    return JsonFile.read(file, DeltaListing.class);
  }

  void write(Path folder) {
    JsonFile.write(folder.resolve(FILE), this);
  }

  Set<String> files() {
    var files = new TreeSet<String>();
    tensors.values().forEach(stored -> files.add(stored.file()));
    return files;
  }
}
