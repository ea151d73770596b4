package io.moextend.comm;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;

/** The buffers of one collective that are not closed yet. */
final class OpenBuffers<B extends Buffer> {
  private static final Pattern NAME = Pattern.compile("[A-Za-z0-9.-]{1,80}");

  private final Map<String, B> byName = new LinkedHashMap<>();

  /** Before a buffer is made. */
  void check(String name, long bytes) {
    if (!NAME.matcher(name).matches()) {
      throw new IllegalArgumentException(
          "buffer name \"%s\" must be 1 to 80 letters, digits, '-' or '.'".formatted(name));
    }
    if (bytes < 0) {
      throw new IllegalArgumentException("buffer %s of %d bytes".formatted(name, bytes));
    }
    if (byName.containsKey(name)) {
      throw new IllegalStateException(
          "buffer %s is still open; close it first or take another name".formatted(name));
    }
  }

  B add(B buffer) {
    byName.put(buffer.name(), buffer);
    return buffer;
  }

  void remove(Buffer buffer) {
    byName.remove(buffer.name());
  }

  /** The one of a slice. */
  B of(Buffer.Slice slice) {
    B open = byName.get(slice.buffer().name());
    if (open == null || open != slice.buffer()) {
      throw new IllegalArgumentException(
          "buffer %s is closed, or of another collective".formatted(slice.buffer().name()));
    }
    return open;
  }

  void closeAll() {
    for (B buffer : List.copyOf(byName.values())) {
      buffer.close();
    }
  }
}
