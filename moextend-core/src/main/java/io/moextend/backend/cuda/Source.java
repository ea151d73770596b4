package io.moextend.backend.cuda;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The kernels' sources, one module each. */
enum Source {
  ADAFACTOR,
  ADAPTER,
  ELEMENT,
  NORM,
  ROWS,
  ATTENTION,
  ATTENTION_MMA,
  ROUTING,
  LOSS,
  UPDATE,
  GROUPED,
  GROUPED_F32;

  private static final String COMMON = "common.cuh";
  private static final Pattern INCLUDE = Pattern.compile("#include \"([a-z_]+\\.cuh)\"");

  /** File name of the resource. */
  String file() {
    return name().toLowerCase(Locale.ROOT) + ".cu";
  }

  /**
   * The text that is compiled: what all sources have in common, then this one, all in one piece.
   */
  String text() {
    return named(COMMON) + named(file());
  }

  /** A resource under its name; the resources it includes, which include none, in their places. */
  private static String named(String file) {
    var text = new StringBuilder("#line 1 \"%s\"\n".formatted(file));
    int number = 0;
    for (String line : read(file).lines().toList()) {
      number++;
      Matcher include = INCLUDE.matcher(line);
      if (include.matches()) {
        String included = include.group(1);
        text.append("#line 1 \"%s\"\n%s\n".formatted(included, read(included)))
            .append("#line %d \"%s\"\n".formatted(number + 1, file));
      } else {
        text.append(line).append('\n');
      }
    }
    return text.toString();
  }

  private static String read(String file) {
    try (InputStream in = Source.class.getResourceAsStream(file)) {
      if (in == null) {
        throw new IllegalStateException(
            "the resource io/moextend/backend/cuda/%s is not on the class path".formatted(file));
      }
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
