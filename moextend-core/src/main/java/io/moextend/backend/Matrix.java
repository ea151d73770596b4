package io.moextend.backend;

/**
 * A weight matrix [out, in] as a backend wants it for both products it takes part in: x Wᵀ forward
 * and dY W backward. May be several parameters stacked by rows (q, k, v; gate and up). Owns its
 * packed memory.
 */
public interface Matrix extends AutoCloseable {
  /** Rows of the stack: the width of the result. */
  long out();

  /** Width of the input. */
  long in();

  /** To be called after any of its parts was updated. */
  void refresh();

  @Override
  void close();
}
