package io.moextend.backend;

import io.moextend.array.Array;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * What a wire between cards needs of a backend whose arrays lie on one of them. May be called from
 * any thread; a stream takes what it is asked in order.
 */
public interface Card {
  /** Makes this card the calling thread's. */
  void makeCurrent();

  /**
   * Device pointer of the array's first element.
   *
   * @throws IllegalArgumentException where the array was freed or is another backend's
   */
  long address(Array array);

  /**
   * A second stream, the same in every call and closed with the backend, which from here on waits
   * for all that the backend was asked so far.
   */
  long sideStream();

  /**
   * Whether all that the side stream was asked is done.
   *
   * @throws BackendException where the card says that something failed
   */
  boolean sideStreamIsDone();

  /** What the backend is asked from here on waits for what the side stream was asked so far. */
  void awaitSideStream();

  /**
   * Looks for a library in the places the backend's own were looked for.
   *
   * @param stem of its name: "nccl" for {@code libnccl.so.2}
   * @param versions that will do, the preferred one first
   */
  Found library(String stem, int... versions);

  /**
   * A library that was looked for.
   *
   * @param file null where there is none
   * @param text where it was found; or where it was not, with the mend
   */
  record Found(@Nullable Path file, String text) {}
}
