package io.moextend.backend.cpu;

/**
 * A block of queries of some heads that read one head of k and v: the rows of one product, head
 * after head.
 *
 * @param head the first of the heads
 * @param first query of the block
 * @param queries how many there are
 * @param padded rows a head has in the product, at least {@code queries}; a power of two
 */
record QueryBlock(int batch, int keyHead, int head, int heads, int first, int queries, int padded) {
  /** Rows of the product. */
  int rows() {
    return heads * padded;
  }
}
