package io.moextend.array;

/** A backend's allocator. Thread-safe. */
public interface Memory {
  /** Uninitialised memory, aligned to 64 bytes. */
  Array allocate(DType dtype, long... shape);

  /** Gives back the memory of an array that {@link #allocate} returned; views of it die with it. */
  void free(Array base);

  /** Bytes of this process' own, allocated and not yet freed. */
  long liveBytes();

  /** The largest {@link #liveBytes} since the last {@link #resetPeak}. */
  long peakBytes();

  void resetPeak();

  /** Told by an arena that takes from here, so that who holds most can be named. */
  default void opened(Arena arena) {}

  /** Told by an arena when it gave all back. */
  default void closed(Arena arena) {}

  /** Bytes used here that all processes of the host have once; not among {@link #liveBytes}. */
  default long sharedBytes() {
    return 0;
  }
}
