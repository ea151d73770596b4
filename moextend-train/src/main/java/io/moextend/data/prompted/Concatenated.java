package io.moextend.data.prompted;

import java.util.List;

/** Several files, one behind the other; closing it closes them. */
final class Concatenated implements Examples {
  private final List<Examples> parts;
  private final int size;

  Concatenated(List<? extends Examples> parts) {
    this.parts = List.copyOf(parts);
    this.size = Math.toIntExact(parts.stream().mapToLong(Examples::size).sum());
  }

  @Override
  public int size() {
    return size;
  }

  @Override
  public PromptedExample read(int index) {
    int within = index;
    for (Examples part : parts) {
      if (within < part.size()) {
        return part.read(within);
      }
      within -= part.size();
    }
    throw new IndexOutOfBoundsException("there are %d examples, not %d".formatted(size, index));
  }

  @Override
  public void close() {
    closeAll(parts);
  }

  static void closeAll(List<? extends Examples> parts) {
    RuntimeException failed = null;
    for (Examples part : parts) {
      try {
        part.close();
      } catch (RuntimeException e) {
        if (failed == null) {
          failed = e;
        } else {
          failed.addSuppressed(e);
        }
      }
    }
    if (failed != null) {
      throw failed;
    }
  }
}
