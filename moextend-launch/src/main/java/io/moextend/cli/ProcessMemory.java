package io.moextend.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** What the operating system counts for this process. */
final class ProcessMemory {
  private ProcessMemory() {}

  /** Most resident bytes so far, mapped files counted; 0 where the system does not tell. */
  static long peakBytes() {
    Path status = Path.of("/proc/self/status");
    if (!Files.isReadable(status)) {
      return 0;
    }
    try {
      return Files.readAllLines(status).stream()
          .filter(line -> line.startsWith("VmHWM:"))
          .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")) * 1024)
          .findFirst()
          .orElse(0);
    } catch (IOException e) {
      return 0;
    }
  }
}
