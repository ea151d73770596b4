package io.moextend.backend.cuda;

/**
 * How many blocks and threads run a kernel. The rules by which kernels of a kind are cut stand here
 * once, and each kernel's source relies on its own; all follow from sizes alone.
 *
 * @param block threads of a block
 * @param shared bytes of dynamic shared memory
 */
record Grid(int x, int y, int z, int block, int shared) {
  /** Rows of a chunk whose columns one block sums. */
  static final long COLUMN_ROWS = 128;

  private static final int BLOCK = 256;
  private static final int LEAST_WORK = 2048;
  private static final int MOST_BLOCKS = 4096;

  Grid {
    if (x < 1 || y < 1 || z < 1 || y > 0xffff || z > 0xffff) {
      throw new IllegalArgumentException("a grid of %d x %d x %d blocks".formatted(x, y, z));
    }
  }

  static Grid of(long x, long y, long z, int block, int shared) {
    return new Grid(Math.toIntExact(x), Math.toIntExact(y), Math.toIntExact(z), block, shared);
  }

  /** Blocks that go over {@code n} elements in strides. */
  static Grid elements(long n) {
    return of(Math.clamp(ceil(n, LEAST_WORK), 1, MOST_BLOCKS), 1, 1, BLOCK, 0);
  }

  /** A block for each row. */
  static Grid rows(long rows) {
    return of(rows, 1, 1, BLOCK, 0);
  }

  /** A warp for each row. */
  static Grid warps(long rows) {
    return of(ceil(rows, 4), 1, 1, 128, 0);
  }

  /** A thread for each row. */
  static Grid threads(long rows) {
    return of(ceil(rows, 128), 1, 1, 128, 0);
  }

  /** A thread for each column of each chunk of rows. */
  static Grid columns(long columns, long chunks) {
    return of(ceil(columns, BLOCK), chunks, 1, BLOCK, 0);
  }

  static Grid oneBlock() {
    return of(1, 1, 1, BLOCK, 0);
  }

  static Grid blocks(long blocks, int shared) {
    return of(blocks, 1, 1, BLOCK, shared);
  }

  static long ceil(long n, long each) {
    return (n + each - 1) / each;
  }
}
