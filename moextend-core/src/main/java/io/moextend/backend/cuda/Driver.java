package io.moextend.backend.cuda;

import java.lang.foreign.MemorySegment;

/**
 * The few things this backend asks of a card. Addresses are the card's; copies take host addresses
 * too. What is asked of a stream is done in order and later; may be called from any thread.
 */
interface Driver extends AutoCloseable {
  /**
   * @param architecture compute capability times ten: 80 for an A100, 90 for an H100
   * @param processors multiprocessors
   * @param versions of the driver and its libraries, in words
   */
  record Card(String name, int architecture, int processors, long memory, String versions) {}

  /** Compiled kernels of one source. */
  interface Module extends AutoCloseable {
    /**
     * A kernel's handle, 0 where the source has none of this name.
     *
     * @param shared bytes of dynamic shared memory it may be launched with
     */
    long function(String name, int shared);

    @Override
    void close();
  }

  Card card();

  /** Makes the card the calling thread's, for libraries that are called directly. */
  void makeCurrent();

  /** Bytes of the card that nobody has. */
  long freeBytes();

  /** Address of memory aligned to 256 bytes, or 0 where the card has no such piece left. */
  long allocate(long bytes);

  void free(long address);

  /** Page-locked host memory that the card sees under the same address. */
  MemorySegment pin(long bytes);

  void unpin(MemorySegment memory);

  long stream();

  void destroyStream(long stream);

  /** Waits until all that was asked of the stream is done. */
  void synchronize(long stream);

  boolean isDone(long stream);

  long event();

  void destroyEvent(long event);

  /** The event happens when what the stream was asked so far is done. */
  void record(long event, long stream);

  /** The stream goes on only after the event. */
  void await(long stream, long event);

  /** Waits for the event; returns at once where it was never recorded. */
  void waitFor(long event);

  /** Copies between any two of the card's memory and page-locked host memory. */
  void copy(long to, long from, long bytes, long stream);

  void fill(long to, byte value, long bytes, long stream);

  /**
   * @param name of the source, for messages
   */
  Module load(String name, String source);

  /**
   * @param parameters an array of pointers to the arguments
   */
  void launch(long function, Grid grid, long stream, MemorySegment parameters);

  /** Products on one stream. */
  Blas blas(long stream);

  @Override
  void close();
}
