package io.moextend.data;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;
import java.util.zip.CRC32C;

/**
 * What a frozen tower made of each image, kept on disk. An entry is found by the image file's bytes
 * and all that changes the tower's answer, so a changed file, tower or preprocessing finds nothing.
 *
 * <p>An entry is a file: "MXFEAT01", rows and width as 32-bit numbers, CRC-32C of what follows,
 * rows * width f32 numbers; all little-endian. It appears under its name only when whole. Any
 * number of threads and processes may share a folder.
 */
public final class FeatureCache {
  /** Told of entries that could not be used. */
  public interface Listener {
    /**
     * @param why what is wrong with the entry; it counts as absent and the next write replaces it
     */
    void broken(Path entry, String why);
  }

  private static final long MAGIC = 0x31305441_4546584dL; // "MXFEAT01" read little-endian
  private static final int HEADER_BYTES = 20;

  private final Path folder;
  private final String tower;
  private final int rows;
  private final int width;
  private final Listener listener;
  private final AtomicLong hits = new AtomicLong();
  private final AtomicLong misses = new AtomicLong();
  private final AtomicLong broken = new AtomicLong();

  /**
   * @param tower fingerprint of the tower's weights, its feature layer and the preprocessing
   * @param rows patches of one image
   * @param width of a feature
   */
  public FeatureCache(Path folder, String tower, int rows, int width, Listener listener) {
    if (rows < 1 || width < 1 || (long) rows * width > Integer.MAX_VALUE / 4 - HEADER_BYTES) {
      throw new DataException(
          "features of [%d, %d] cannot be kept; both must be at least 1 and the product fit a file"
              .formatted(rows, width));
    }
    this.folder = folder;
    this.tower = tower;
    this.rows = rows;
    this.width = width;
    this.listener = listener;
  }

  /**
   * @param imageSha256 of the image file's bytes, in hex
   * @return [rows, width]; empty where nothing usable is kept
   */
  public Optional<float[]> read(String imageSha256) {
    Path entry = entry(imageSha256);
    int expected = HEADER_BYTES + 4 * rows * width;
    ByteBuffer bytes;
    try {
      long size = Files.size(entry);
      if (size != expected) {
        return refuse(entry, "it has %d bytes instead of %d".formatted(size, expected));
      }
      bytes = ByteBuffer.wrap(Files.readAllBytes(entry)).order(ByteOrder.LITTLE_ENDIAN);
    } catch (NoSuchFileException e) {
      misses.incrementAndGet();
      return Optional.empty();
    } catch (IOException e) {
      throw new DataException(
          "%s cannot be read (%s); mend its permissions or name another cache folder"
              .formatted(entry, e.getMessage()),
          e);
    }
    if (bytes.capacity() != expected
        || bytes.getLong(0) != MAGIC
        || bytes.getInt(8) != rows
        || bytes.getInt(12) != width) {
      return refuse(entry, "its header is not that of features [%d, %d]".formatted(rows, width));
    }
    if (bytes.getInt(16) != checksum(bytes)) {
      return refuse(entry, "its checksum is wrong");
    }
    float[] features = new float[rows * width];
    bytes
        .slice(HEADER_BYTES, 4 * features.length)
        .order(ByteOrder.LITTLE_ENDIAN)
        .asFloatBuffer()
        .get(features);
    hits.incrementAndGet();
    return Optional.of(features);
  }

  private Optional<float[]> refuse(Path entry, String why) {
    broken.incrementAndGet();
    listener.broken(entry, why);
    return Optional.empty();
  }

  /**
   * @param features [rows, width]
   */
  public void write(String imageSha256, float[] features) {
    if (features.length != rows * width) {
      throw new IllegalArgumentException(
          "%d features for [%d, %d]".formatted(features.length, rows, width));
    }
    ByteBuffer bytes =
        ByteBuffer.allocate(HEADER_BYTES + 4 * features.length).order(ByteOrder.LITTLE_ENDIAN);
    bytes.putLong(0, MAGIC).putInt(8, rows).putInt(12, width);
    bytes
        .slice(HEADER_BYTES, 4 * features.length)
        .order(ByteOrder.LITTLE_ENDIAN)
        .asFloatBuffer()
        .put(features);
    bytes.putInt(16, checksum(bytes));
    Path entry = entry(imageSha256);
    try {
      Path parent = Files.createDirectories(entry.resolveSibling("."));
      Path unfinished = Files.createTempFile(parent, "unfinished-", ".tmp");
      try {
        Files.write(unfinished, bytes.array());
        Files.move(unfinished, entry, StandardCopyOption.ATOMIC_MOVE);
      } finally {
        Files.deleteIfExists(unfinished);
      }
    } catch (IOException e) {
      throw new DataException(
          "%s cannot be written (%s); make room or name another cache folder"
              .formatted(entry, e.getMessage()),
          e);
    }
  }

  private static int checksum(ByteBuffer bytes) {
    CRC32C crc = new CRC32C();
    crc.update(bytes.array(), HEADER_BYTES, bytes.capacity() - HEADER_BYTES);
    return (int) crc.getValue();
  }

  /** Where an image's features are or would be; two letters of folder keep folders small. */
  Path entry(String imageSha256) {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      digest.update((imageSha256 + "\n" + tower).getBytes(StandardCharsets.UTF_8));
      String key = HexFormat.of().formatHex(digest.digest());
      return folder.resolve(key.substring(0, 2)).resolve(key + ".features");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java has SHA-256", e);
    }
  }

  public long hits() {
    return hits.get();
  }

  public long misses() {
    return misses.get();
  }

  /** Entries found broken so far. */
  public long broken() {
    return broken.get();
  }
}
