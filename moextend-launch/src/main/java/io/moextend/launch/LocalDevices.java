package io.moextend.launch;

import io.moextend.config.ConfigException;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

/** The GPUs of this host, counted without loading a driver. */
public final class LocalDevices {
  private static final Path DEVICES = Path.of("/dev");

  private LocalDevices() {}

  /** Those CUDA_VISIBLE_DEVICES lists where it is set, else those that have a device file. */
  public static int count(Map<String, String> environment) {
    String visible = environment.get("CUDA_VISIBLE_DEVICES");
    if (visible != null) {
      String listed = visible.strip();
      return listed.isEmpty() || listed.equals("-1") ? 0 : listed.split(",").length;
    }
    int count = 0;
    try (DirectoryStream<Path> files = Files.newDirectoryStream(DEVICES, "nvidia[0-9]*")) {
      for (Path file : files) {
        count += file.getFileName().toString().matches("nvidia\\d+") ? 1 : 0;
      }
    } catch (IOException e) {
      throw new ConfigException(
          "cannot count the GPUs in /dev (%s); give --nproc-per-node a number".formatted(e), e);
    }
    return count;
  }
}
