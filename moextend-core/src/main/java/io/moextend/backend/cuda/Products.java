package io.moextend.backend.cuda;

import io.moextend.array.DType;
import io.moextend.backend.cuda.Blas.Gemm;
import io.moextend.backend.cuda.WeightTables.Table;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Products with plain matrices through the library, with the matrices of all experts through one
 * kernel of ours, which also does what the library has no way for.
 */
final class Products implements AutoCloseable {
  /** Rows and columns of a result that one block computes, its shared memory and its kernels. */
  private record Tile(int rows, int columns, int shared, Source source) {
    Grid grid(long columnsOfAll, long rowTiles) {
      return Grid.of(Grid.ceil(columnsOfAll, columns), rowTiles, 1, 256, shared);
    }
  }

  private static final Tile NARROW = new Tile(128, 256, 96 << 10, Source.GROUPED);
  private static final Tile WIDE = new Tile(64, 64, 0, Source.GROUPED_F32);

  private final CudaDevice cuda;
  private final Blas blas;
  private final WeightTables tables;

  Products(CudaDevice cuda, Blas blas) {
    this.cuda = cuda;
    this.blas = blas;
    this.tables = new WeightTables(cuda);
  }

  /** out = x Wᵀ (+ bias), part by part. */
  void forward(CudaArray out, CudaArray x, CudaMatrix w, @Nullable CudaArray bias) {
    boolean within = bias != null && bias.dtype() == out.dtype();
    for (CudaMatrix.Part part : w.parts()) {
      if (part.rows() == 0) {
        continue;
      }
      var gemm =
          new Gemm(
              w.type(),
              out.dtype(),
              x.dim(0),
              part.rows(),
              w.in(),
              false,
              w.in(),
              true,
              w.in(),
              w.out(),
              false,
              within);
      long from = bias != null && within ? bias.address(part.first()) : 0;
      long to = out.address(part.first());
      if (!blas.multiply(gemm, x.address(), part.weights().address(), to, from)) {
        alone(offsets -> grouped("grouped_product", out, x, offsets, 1, List.of(w)), x.dim(0));
        within = false;
        break;
      }
    }
    if (bias != null && !within) {
      cuda.launch(Source.ELEMENT, "add_repeated_" + out.suffix() + "_" + bias.suffix())
          .array(out)
          .array(out)
          .array(bias)
          .size(out.size())
          .size(bias.size())
          .run(Grid.elements(out.size()));
    }
  }

  /** out = dY W, summed over the parts. */
  void backward(CudaArray out, CudaArray dY, CudaMatrix w) {
    for (CudaMatrix.Part part : w.parts()) {
      if (part.rows() == 0) {
        continue;
      }
      var gemm =
          new Gemm(
              w.type(),
              out.dtype(),
              dY.dim(0),
              w.in(),
              part.rows(),
              false,
              w.out(),
              false,
              w.in(),
              w.in(),
              part.first() > 0,
              false);
      long from = dY.address(part.first());
      if (!blas.multiply(gemm, from, part.weights().address(), out.address(), 0)) {
        alone(offsets -> grouped("grouped_transposed", out, dY, offsets, 1, List.of(w)), dY.dim(0));
        return;
      }
    }
  }

  /** out = dYᵀ x, over {@code out}'s rows of columns of dY from {@code from} on. */
  void gradient(CudaArray out, CudaArray dY, long from, CudaArray x) {
    long width = x.dim(1);
    var gemm =
        new Gemm(
            x.dtype(),
            DType.F32,
            out.dim(0),
            width,
            x.dim(0),
            true,
            dY.dim(1),
            false,
            width,
            width,
            false,
            false);
    if (!blas.multiply(gemm, dY.address(from), x.address(), out.address(), 0)) {
      alone(offsets -> groupedGradient(out, dY, from, x, offsets, 0), x.dim(0));
    }
  }

  private interface Grouped {
    void run(CudaArray offsets);
  }

  /** A product as one of a single expert that has all rows. */
  private void alone(Grouped product, long rows) {
    try (var offsets = cuda.scratch(DType.I32, 2)) {
      int[] all = {0, Math.toIntExact(rows)};
      cuda.copyIn(offsets.array(), MemorySegment.ofArray(all));
      product.run(offsets.array());
    }
  }

  /**
   * Each expert's rows through its own matrix.
   *
   * @param name grouped_product or grouped_transposed
   */
  void grouped(
      String name,
      CudaArray out,
      CudaArray rows,
      CudaArray offsets,
      int experts,
      List<CudaMatrix> matrices) {
    CudaMatrix any = matrices.getFirst();
    Table table = tables.of(matrices);
    String types =
        out.dtype() == any.type() ? out.suffix() : "f32out_" + CudaArray.suffix(any.type());
    Tile tile = tile(any.type());
    // each expert may end in a tile that is not full
    long rowTiles = Grid.ceil(rows.dim(0), tile.rows) + experts;
    cuda.launch(tile.source, name + "_" + types)
        .array(out)
        .array(rows)
        .array(table.addresses())
        .array(table.ends())
        .flag(table.parts())
        .array(offsets)
        .flag(experts)
        .size(rows.dim(0))
        .size(any.in())
        .size(any.out())
        .run(tile.grid(out.dim(1), rowTiles));
  }

  /** out = dYᵀ x over the rows of one expert; zeros where it has none. */
  void groupedGradient(
      CudaArray out, CudaArray dY, long from, CudaArray x, CudaArray offsets, int expert) {
    Tile tile = tile(x.dtype());
    cuda.launch(tile.source, "grouped_gradient_" + x.suffix())
        .array(out)
        .array(dY)
        .size(dY.dim(1))
        .size(from)
        .array(x)
        .array(offsets)
        .flag(expert)
        .size(out.dim(0))
        .size(out.dim(1))
        .run(tile.grid(out.dim(1), Grid.ceil(out.dim(0), tile.rows)));
  }

  private static Tile tile(DType type) {
    return type == DType.BF16 ? NARROW : WIDE;
  }

  @Override
  public void close() {
    tables.close();
  }
}
