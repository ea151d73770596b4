package io.moextend.backend.cuda;

import io.moextend.array.DType;
import java.lang.foreign.MemorySegment;
import java.util.function.UnaryOperator;

/**
 * What all kernels of this backend work with: one card and the one stream on which everything is
 * done in order.
 */
final class CudaDevice implements AutoCloseable {
  private static final int BUFFERS = 16;
  private static final int BUFFER = 2 << 20;

  private final Driver driver;
  private final long stream;
  private final CudaMemory memory;
  private final Staging staging;
  private final Fault fault;
  private final Kernels kernels;
  private final Blas blas;
  private final Products products;
  private boolean closed;

  /**
   * @param driver closed with this
   */
  CudaDevice(Driver driver) {
    this.driver = driver;
    stream = driver.stream();
    memory = new CudaMemory(driver);
    staging = new Staging(driver, stream, BUFFERS, BUFFER);
    fault = new Fault(driver);
    kernels = new Kernels(driver, stream);
    blas = driver.blas(stream);
    products = new Products(this, blas);
  }

  Driver driver() {
    return driver;
  }

  long stream() {
    return stream;
  }

  CudaMemory memory() {
    return memory;
  }

  Kernels kernels() {
    return kernels;
  }

  Products products() {
    return products;
  }

  /** Where kernels note faults. */
  long fault() {
    return fault.address();
  }

  Launch launch(Source source, String name) {
    return kernels.launch(source, name);
  }

  void copyIn(CudaArray to, MemorySegment from) {
    if (to.size() > 0) {
      staging.toCard(to.address(), from);
    }
  }

  void copyOut(CudaArray from, MemorySegment to) {
    if (from.size() > 0) {
      staging.toHost(to, from.address());
      fault.check();
    }
  }

  /** Copies bytes on the card. */
  void copy(CudaArray to, CudaArray from) {
    if (from.size() > 0) {
      driver.copy(to.address(), from.address(), from.bytes(), stream);
    }
  }

  /** All bits 0. */
  void clear(CudaArray array) {
    if (array.size() > 0) {
      driver.fill(array.address(), (byte) 0, array.bytes(), stream);
    }
  }

  void synchronize() {
    driver.synchronize(stream);
    fault.check();
  }

  /** Memory for one call; it may be given back at once after the launches that use it. */
  Scratch scratch(DType dtype, long... shape) {
    return new Scratch(memory, memory.allocate(dtype, shape));
  }

  record Scratch(CudaMemory memory, CudaArray array) implements AutoCloseable {
    @Override
    public void close() {
      memory.free(array);
    }
  }

  /** Values rounded to another floating type. */
  void cast(CudaArray to, CudaArray from) {
    if (to.dtype() == from.dtype()) {
      copy(to, from);
    } else if (from.size() > 0) {
      launch(Source.ELEMENT, "cast_" + from.suffix() + "_" + to.suffix())
          .array(to)
          .array(from)
          .size(from.size())
          .run(Grid.elements(from.size()));
    }
  }

  /** A kernel of the COL kind: a thread for each column of a chunk of rows. */
  @FunctionalInterface
  interface ColumnKernel {
    /** The kernel with all its arguments, the chunks' results going to {@code partial}. */
    Launch into(CudaArray partial, long rows, long columns, long rowsPerBlock);
  }

  /**
   * Sums over rows, each column by itself, in chunks of rows first.
   *
   * @param inputs adds what the kernel reads, between its result and the sizes
   * @param out [columns] F32
   */
  void columnSums(
      Source source, String name, CudaArray out, long rows, UnaryOperator<Launch> inputs) {
    columnSums(
        (partial, height, columns, each) ->
            inputs.apply(launch(source, name).array(partial)).size(height).size(columns).size(each),
        out,
        rows);
  }

  /** As above, of a kernel that is given its sizes in an order of its own. */
  void columnSums(ColumnKernel kernel, CudaArray out, long rows) {
    long columns = out.size();
    if (columns == 0) {
      return;
    }
    long chunks = Math.max(1, Grid.ceil(rows, Grid.COLUMN_ROWS));
    Grid grid = Grid.columns(columns, chunks);
    if (chunks == 1) {
      kernel.into(out, rows, columns, Grid.COLUMN_ROWS).run(grid);
      return;
    }
    try (Scratch partial = scratch(DType.F32, chunks, columns)) {
      kernel.into(partial.array(), rows, columns, Grid.COLUMN_ROWS).run(grid);
      launch(Source.ELEMENT, "column_sums_f32")
          .array(out)
          .array(partial.array())
          .size(chunks)
          .size(columns)
          .size(chunks)
          .run(Grid.columns(columns, 1));
    }
  }

  @Override
  public void close() {
    if (closed) {
      return;
    }
    closed = true;
    driver.synchronize(stream);
    products.close();
    blas.close();
    kernels.close();
    fault.close();
    staging.close();
    memory.close();
    driver.destroyStream(stream);
    driver.close();
  }
}
