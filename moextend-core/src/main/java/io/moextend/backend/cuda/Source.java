package io.moextend.backend.cuda;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Locale;

/** The kernels' sources, one module each. */
enum Source {
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

  /** File name of the resource. */
  String file() {
    return name().toLowerCase(Locale.ROOT) + ".cu";
  }

  /** The text that is compiled: what all sources have in common, then this one. */
  String text() {
    return read(COMMON) + "\n#line 1 \"" + file() + "\"\n" + read(file());
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
