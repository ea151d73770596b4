package io.moextend.checkpoint;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Names and listings of a set of files that ranks write side by side: STEM-0000R-of-0000N
 * .safetensors with {@link Piece}s, a .json with their checksums beside each, and STEM.json, which
 * says which files make the set. Each rank calls {@link #write}; when all have, one calls {@link
 * #seal}.
 */
public final class PieceFiles {
  /**
   * STEM.json.
   *
   * @param listings each file's listing by name, with the CRC-32C of the listing itself: a file of
   *     another checkpoint under the same name does not pass
   */
  record Contents(int formatVersion, SortedMap<String, String> listings) {
    private static final int VERSION = 1;

    Contents {
      if (formatVersion != VERSION) {
        throw new CheckpointException(
            "formatVersion %d is not known, %d is; take a newer moextend"
                .formatted(formatVersion, VERSION));
      }
      if (listings.isEmpty()) {
        throw new CheckpointException("names no file" + SafetensorsHeader.DAMAGED);
      }
      listings = Collections.unmodifiableSortedMap(new TreeMap<>(listings));
    }
  }

  private PieceFiles() {}

  /**
   * Writes one rank's file and its listing.
   *
   * @param tensors named as {@link Piece#tensor}, or whole ones; may be none
   * @throws CheckpointException where the disk refuses
   */
  public static void write(
      Path folder, String stem, int rank, int world, Collection<TensorStream> tensors) {
    String name = name(stem, rank, world);
    var written = SafetensorsWriter.writeFile(folder.resolve(weights(name)), tensors);
    Checksums.of(written).write(folder.resolve(listing(name)));
  }

  /**
   * Says that the set is whole; every rank has written.
   *
   * @throws CheckpointException where a rank's listing is not there
   */
  public static void seal(Path folder, String stem, int world) {
    var listings = new TreeMap<String, String>();
    for (int rank = 0; rank < world; rank++) {
      String listing = listing(name(stem, rank, world));
      listings.put(listing, sum(folder.resolve(listing)));
    }
    JsonFile.write(folder.resolve(contents(stem)), new Contents(Contents.VERSION, listings));
  }

  static String sum(Path file) {
    try {
      return Crc32c.of(MemorySegment.ofArray(Files.readAllBytes(file)));
    } catch (IOException e) {
      throw new CheckpointException(file + ": cannot be read (" + e + ")", e);
    }
  }

  static String name(String stem, int rank, int world) {
    return String.format(Locale.ROOT, "%s-%05d-of-%05d", stem, rank + 1, world);
  }

  static String weights(String name) {
    return name + ".safetensors";
  }

  static String listing(String name) {
    return name + ".json";
  }

  static String contents(String stem) {
    return stem + ".json";
  }

  /** Files of the folder that belong to such a set by their name, whatever their number. */
  static List<String> numbered(Path folder, String stem) {
    String form = Pattern.quote(stem) + "-\\d+-of-\\d+\\.(safetensors|json)";
    try (Stream<Path> files = Files.list(folder)) {
      return files
          .map(f -> f.getFileName().toString())
          .filter(f -> f.matches(form))
          .sorted()
          .toList();
    } catch (IOException e) {
      throw new CheckpointException(folder + ": cannot be read (" + e + ")", e);
    }
  }
}
