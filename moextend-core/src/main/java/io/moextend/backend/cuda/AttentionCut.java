package io.moextend.backend.cuda;

import io.moextend.backend.AttentionKernels.Attention;

/**
 * Which kernels do an attention, and in what blocks with how much shared memory; the figures are
 * those of attention.cu.
 *
 * @param type suffix of the kernels' names
 * @param fast whether the matrix units do it
 */
record AttentionCut(Attention shape, String type, boolean fast) {
  private static final int BLOCK = 128;
  private static final int LARGEST_FAST_HEAD = 128;
  private static final int FLOAT = 4;

  /** Queries, or keys, of a block of the plain kernels, and keys they hold at a time. */
  private static final int FEW = 16;

  private static final int HELD = 32;

  /** Queries, or keys, of a block of the fast kernels. */
  private static final int MANY = 64;

  /** Whether the matrix units have kernels for heads of this size. */
  static boolean fits(int headSize) {
    return headSize % 8 == 0 && headSize <= LARGEST_FAST_HEAD;
  }

  /** Whether the fast kernels can read an array: 16 bytes at a time. */
  static boolean fits(CudaArray array) {
    return array.address() % 16 == 0;
  }

  /** Head size as the fast kernels pad it. */
  private int padded() {
    return shape.headSize() <= 64 ? 64 : shape.headSize() <= 96 ? 96 : LARGEST_FAST_HEAD;
  }

  /** attention, attention_backward_q or attention_backward_kv as it is named for this case. */
  String kernel(String stem) {
    return fast ? "%s_mma_bf16_%d".formatted(stem, padded()) : stem + "_" + type;
  }

  Source source() {
    return fast ? Source.ATTENTION_MMA : Source.ATTENTION;
  }

  Grid forward() {
    int size = shape.headSize();
    int plain = FLOAT * (FEW * size + HELD * (size + 1) + HELD * size);
    return overQueries(fast ? 2 * padded() * 5 * MANY : plain);
  }

  Grid backwardQ() {
    return overQueries(fast ? 2 * padded() * 6 * MANY : plainBackward());
  }

  private int plainBackward() {
    return FLOAT * 2 * (FEW * shape.headSize() + HELD * (shape.headSize() + 1));
  }

  private Grid overQueries(int shared) {
    return Grid.of(
        Grid.ceil(shape.queries(), fast ? MANY : FEW),
        shape.queryHeads(),
        shape.batch(),
        BLOCK,
        shared);
  }

  Grid backwardKv() {
    return Grid.of(
        Grid.ceil(shape.keys(), fast ? MANY : FEW),
        shape.keyHeads(),
        shape.batch(),
        BLOCK,
        fast ? 2 * padded() * 6 * MANY + 1024 : plainBackward());
  }

  Grid backwardBias() {
    return Grid.of(Grid.ceil(shape.keys(), BLOCK), shape.queries(), shape.queryHeads(), BLOCK, 0);
  }
}
