package io.moextend.stage;

import io.moextend.config.ConfigException;
import java.nio.file.Path;

/**
 * {@link RoutingStatistics} and where they come from: what routing-statistics writes.
 *
 * @param format always {@link #FORMAT}
 */
public record RoutingFile(String format, Source source, RoutingStatistics routing) {
  public static final String FORMAT = "moextend-routing-statistics-1";

  /** A model of a hundred layers with a hundred experts takes a fifth of it. */
  private static final RecordFile<RoutingFile> FILE =
      new RecordFile<>(RoutingFile.class, "a file of routing statistics", 32 << 20);

  /**
   * @param model fingerprint of its weights
   * @param data name of the file whose samples were counted, without its folder
   */
  public record Source(String model, String data) {}

  public RoutingFile {
    if (!format.equals(FORMAT)) {
      throw new ConfigException("format", format, "this version reads " + FORMAT);
    }
  }

  public RoutingFile(Source source, RoutingStatistics routing) {
    this(FORMAT, source, routing);
  }

  /**
   * @throws ConfigException naming the file and the field if anything in it cannot be used
   */
  public static RoutingFile read(Path file) {
    return FILE.read(file);
  }

  /** Writes the file whole or not at all. */
  public void write(Path file) {
    FILE.write(this, file);
  }
}
