package io.moextend.backend.cuda;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.array.ShapeException;
import io.moextend.backend.AdafactorKernels;

/** Adafactor; sums over a parameter stay on the card. */
interface CudaAdafactor extends AdafactorKernels {
  /** Elements of which one block sums the squares. */
  long EACH = 1 << 16;

  CudaDevice cuda();

  private Launch adafactor(String name) {
    return cuda().launch(Source.ADAFACTOR, "adafactor_" + name);
  }

  private void sum(CudaArray out, CudaArray partial) {
    cuda()
        .launch(Source.UPDATE, "sum_double")
        .array(out)
        .array(partial)
        .size(partial.size())
        .run(Grid.oneBlock());
  }

  @Override
  default Array squaresInto(Arena to, Array v, Array gradient, Squares how) {
    CudaArray kept = CudaArray.of(v, DType.F32);
    CudaArray g = CudaArray.of(gradient, DType.F32);
    requireSize(v, gradient);
    var out = (CudaArray) to.allocate(DType.F64, 1);
    long blocks = Grid.ceil(g.size(), EACH);
    if (blocks == 0) {
      cuda().clear(out);
      return out;
    }
    try (var partial = cuda().scratch(DType.F64, blocks)) {
      adafactor("squares")
          .array(partial.array())
          .array(kept)
          .array(g)
          .size(g.size())
          .size(EACH)
          .number(how.decay())
          .number(how.mixing())
          .number(how.eps())
          .number(how.gradientScale())
          .run(Grid.blocks(blocks, 0));
      sum(out, partial.array());
    }
    return out;
  }

  @Override
  default Array factoredSquaresInto(
      Arena to, Array rows, Array columns, Array gradient, Squares how) {
    CudaArray r = CudaArray.of(rows, DType.F32);
    CudaArray c = CudaArray.of(columns, DType.F32);
    CudaArray g = matrix(rows, columns, gradient);
    var out = (CudaArray) to.allocate(DType.F64, 1);
    if (g.size() == 0) {
      cuda().clear(out);
      return out;
    }
    long height = g.dim(0);
    adafactor("rows")
        .array(r)
        .array(g)
        .size(height)
        .size(g.dim(1))
        .wide(how.decay())
        .wide(how.mixing())
        .wide(how.eps())
        .number(how.gradientScale())
        .run(Grid.rows(height));
    columns(c, g, how);
    try (var mean = mean(r);
        var partial = cuda().scratch(DType.F64, height)) {
      adafactor("updates")
          .array(partial.array())
          .array(g)
          .array(r)
          .array(c)
          .array(mean.array())
          .size(height)
          .size(g.dim(1))
          .number(how.gradientScale())
          .run(Grid.rows(height));
      sum(out, partial.array());
    }
    return out;
  }

  private void columns(CudaArray columns, CudaArray g, Squares how) {
    long chunks = Grid.ceil(g.dim(0), Grid.COLUMN_ROWS);
    try (var partial = cuda().scratch(DType.F64, chunks, g.dim(1))) {
      adafactor("column_squares")
          .array(partial.array())
          .array(g)
          .size(g.dim(0))
          .size(g.dim(1))
          .size(Grid.COLUMN_ROWS)
          .number(how.gradientScale())
          .run(Grid.columns(g.dim(1), chunks));
      adafactor("columns")
          .array(columns)
          .array(partial.array())
          .size(chunks)
          .size(g.dim(0))
          .size(g.dim(1))
          .wide(how.decay())
          .wide(how.mixing())
          .wide(how.eps())
          .run(Grid.threads(g.dim(1)));
    }
  }

  private CudaDevice.Scratch mean(CudaArray rows) {
    CudaDevice.Scratch mean = cuda().scratch(DType.F64, 1);
    adafactor("mean").array(mean.array()).array(rows).size(rows.size()).run(Grid.oneBlock());
    return mean;
  }

  @Override
  default void moveInto(Array master, Array v, Array gradient, Array sums, Move how) {
    CudaArray w = CudaArray.of(master, DType.F32);
    CudaArray kept = CudaArray.of(v, DType.F32);
    CudaArray g = CudaArray.of(gradient, DType.F32);
    CudaArray totals = sums(sums);
    requireSize(master, v);
    requireSize(master, gradient);
    if (w.size() > 0) {
      Launch launch = adafactor("move").array(w).array(kept).array(g).array(totals).size(w.size());
      rate(launch, how).run(Grid.elements(w.size()));
    }
  }

  @Override
  default void factoredMoveInto(
      Array master, Array rows, Array columns, Array gradient, Array sums, Move how) {
    CudaArray w = matrix(rows, columns, master);
    CudaArray g = matrix(rows, columns, gradient);
    CudaArray r = CudaArray.of(rows, DType.F32);
    CudaArray c = CudaArray.of(columns, DType.F32);
    CudaArray totals = sums(sums);
    if (w.size() == 0) {
      return;
    }
    try (var mean = mean(r)) {
      Launch launch =
          adafactor("factored_move")
              .array(w)
              .array(g)
              .array(r)
              .array(c)
              .array(mean.array())
              .array(totals)
              .size(w.dim(0))
              .size(w.dim(1));
      rate(launch, how).run(Grid.rows(w.dim(0)));
    }
  }

  private static Launch rate(Launch launch, Move how) {
    return launch
        .wide(how.learningRate())
        .size(how.elements())
        .wide(how.clip())
        .flag(how.byParameter())
        .wide(how.least())
        .wide(how.gradientScale());
  }

  private static CudaArray sums(Array sums) {
    sums.require("sums", 2);
    return CudaArray.of(sums, DType.F64);
  }

  private static CudaArray matrix(Array rows, Array columns, Array matrix) {
    rows.require("rows", -1);
    columns.require("columns", -1);
    matrix.require("matrix", rows.dim(0), columns.dim(0));
    return CudaArray.of(matrix, DType.F32);
  }

  private static void requireSize(Array a, Array b) {
    if (a.size() != b.size()) {
      throw new ShapeException("%s and %s are not of one size".formatted(a, b));
    }
  }
}
