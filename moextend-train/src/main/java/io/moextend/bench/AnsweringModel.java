package io.moextend.bench;

import java.util.function.IntConsumer;

/** A random model that answers greedily and never stops by itself. */
public interface AnsweringModel extends AutoCloseable {
  int vocab();

  /**
   * @param most new tokens
   * @param seen told each new token as it comes
   */
  void answer(int[] prompt, int most, IntConsumer seen);

  /** Bytes of the matrices that a new token has to be multiplied with. */
  long weightBytesOfAToken();

  /**
   * Bytes of keys and values.
   *
   * @param most new tokens
   */
  long cacheBytes(int prompt, int most);

  @Override
  void close();
}
