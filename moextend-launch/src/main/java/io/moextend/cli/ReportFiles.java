package io.moextend.cli;

import io.moextend.config.ConfigException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * The two files that a command which counts leaves.
 *
 * @param output the numbers
 * @param page the same for a reader
 */
record ReportFiles(Path output, Path page) {
  /**
   * @param report null = beside the output, with .html
   * @throws ConfigException where one of them exists
   */
  static ReportFiles of(Path output, @Nullable Path report) {
    var files = new ReportFiles(output, report == null ? beside(output) : report);
    requireAbsent("--output", files.output);
    requireAbsent("--report", files.page);
    return files;
  }

  private static Path beside(Path output) {
    String name = String.valueOf(output.getFileName());
    int dot = name.lastIndexOf('.');
    return output.resolveSibling((dot > 0 ? name.substring(0, dot) : name) + ".html");
  }

  /**
   * @throws ConfigException where it exists
   */
  static void requireAbsent(String option, Path file) {
    if (Files.exists(file)) {
      throw new ConfigException(option, file, "exists already; remove it or name another");
    }
  }

  /** Says where they are. */
  void print(PrintWriter out) {
    out.printf("written: %s%nreport: %s%n", output, page);
    out.flush();
  }
}
