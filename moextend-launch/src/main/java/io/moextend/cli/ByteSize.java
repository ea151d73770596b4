package io.moextend.cli;

import io.moextend.config.ConfigException;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A size as it is typed: {@code 2GB}, in powers of ten as Hugging Face counts, or {@code 2GiB}. */
final class ByteSize {
  private static final Pattern FORM = Pattern.compile("(\\d{1,9})([KMG]I?B|B?)");
  private static final Map<String, Long> UNITS =
      Map.of(
          "", 1L,
          "B", 1L,
          "KB", 1_000L,
          "MB", 1_000_000L,
          "GB", 1_000_000_000L,
          "KIB", 1L << 10,
          "MIB", 1L << 20,
          "GIB", 1L << 30);

  private ByteSize() {}

  /**
   * @param option for the message
   * @return bytes, at least 1
   * @throws ConfigException where it is no size
   */
  static long parse(String option, String text) {
    Matcher match = FORM.matcher(text.strip().toUpperCase(Locale.ROOT));
    if (match.matches()) {
      long bytes = Long.parseLong(match.group(1)) * UNITS.getOrDefault(match.group(2), 0L);
      if (bytes > 0) {
        return bytes;
      }
    }
    throw new ConfigException(option, text, "write a size such as 2GB, 500MB or 1GiB");
  }
}
