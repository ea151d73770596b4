package io.moextend.backend.cuda;

import io.moextend.backend.BackendException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Where kernels note that a number they were given was out of range; looked at after each wait. */
final class Fault implements AutoCloseable {
  private final Driver driver;
  private final MemorySegment word;

  Fault(Driver driver) {
    this.driver = driver;
    this.word = driver.pin(64);
    word.fill((byte) 0);
  }

  long address() {
    return word.address();
  }

  /** To be called when what was asked before is done. */
  synchronized void check() {
    int code = word.get(ValueLayout.JAVA_INT, 0);
    if (code == 0) {
      return;
    }
    word.set(ValueLayout.JAVA_INT, 0, 0);
    String what =
        switch (code) {
          case 1 -> "a row number outside of its table";
          case 2 -> "a target that is no class of its logits";
          case 3 -> "an expert's number that is no expert's";
          default -> "fault " + code;
        };
    throw new BackendException(
        "a kernel met %s since the last wait; results since then are void, and --backend cpu says"
                .formatted(what)
            + " where");
  }

  @Override
  public void close() {
    driver.unpin(word);
  }
}
