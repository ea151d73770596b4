package io.moextend.backend.cpu;

import io.moextend.array.DType;
import java.util.LinkedHashMap;

/**
 * One worker's products: oneDNN primitives by shape, the least recently used given back beyond a
 * bound. Not thread-safe.
 */
final class Gemm implements AutoCloseable {
  /** A primitive takes the library a quarter of a megabyte and about a millisecond to make. */
  private static final int KEPT = 256;

  static final int ROW_STEP = 8;

  /** How many steps an octave of row counts has at most. */
  private static final int STEPS = 16;

  /** Element (i, j) of a matrix is at i·rowStride + j·columnStride; in elements. */
  record Layout(long rowStride, long columnStride) {}

  /**
   * result [rows, columns] = source [rows, inner] · weights [inner, columns] (+ bias [columns]).
   *
   * @param type of source, weights and bias
   * @param accumulate adds to a wide result instead of replacing it
   */
  record Shape(
      int rows,
      int inner,
      int columns,
      DType type,
      DType result,
      Layout source,
      Layout weights,
      long resultStride,
      boolean bias,
      boolean accumulate) {}

  private final OneDnn library;
  private final Lane lane;
  private final long stream;
  private final boolean multipliesBf16;
  private final LinkedHashMap<Shape, Primitive> primitives = new LinkedHashMap<>(64, 0.75f, true);

  /**
   * The number of rows to go for with at least {@code rows}, at most a sixteenth more beyond a few:
   * there are few such numbers, so that primitives are used again, whatever the router chose.
   */
  static int evenRows(int rows) {
    int step = Math.max(ROW_STEP, Integer.highestOneBit(rows) / STEPS);
    return Math.ceilDiv(rows, step) * step;
  }

  Gemm(OneDnn library, Lane lane) {
    this.library = library;
    this.lane = lane;
    this.stream = library.stream();
    this.multipliesBf16 = library.isa().multipliesBf16();
  }

  /**
   * @param bias its address; not read where the shape has none
   */
  void multiply(Shape shape, long source, long weights, long bias, long result) {
    if (shape.type == DType.BF16 && !multipliesBf16) {
      WideProduct.multiply(this, lane, shape, source, weights, bias, result);
    } else {
      run(shape, source, weights, bias, result);
    }
  }

  /** As {@link #multiply}, in exactly the types of the shape. */
  void run(Shape s, long source, long weights, long bias, long result) {
    primitive(s).run(stream, lane, source, weights, result, bias);
  }

  private Primitive primitive(Shape shape) {
    Primitive found = primitives.get(shape);
    if (found == null) {
      if (primitives.size() >= KEPT) {
        primitives.pollFirstEntry().getValue().close();
      }
      found = matmul(shape);
      primitives.put(shape, found);
    }
    return found;
  }

  private Primitive matmul(Shape s) {
    try (var owned = new Handles(library)) {
      long source = owned.layout(layout(s.type, s.rows, s.inner, s.source));
      long weights = owned.layout(layout(s.type, s.inner, s.columns, s.weights));
      long bias = s.bias ? owned.layout(library.layout(s.type, 1, s.columns, s.columns, 1)) : 0;
      long result = owned.layout(library.layout(s.result, s.rows, s.columns, s.resultStride, 1));
      long attributes = owned.attributes(library.attributes(s.accumulate));
      long description =
          owned.description(library.matmul(source, weights, bias, result, attributes));
      return new Primitive(
          library,
          description,
          new int[] {OneDnn.SOURCE, OneDnn.WEIGHTS, OneDnn.RESULT, OneDnn.BIAS},
          new long[] {source, weights, result, bias});
    }
  }

  private long layout(DType type, long rows, long columns, Layout layout) {
    return library.layout(type, rows, columns, layout.rowStride, layout.columnStride);
  }

  @Override
  public void close() {
    primitives.values().forEach(Primitive::close);
    primitives.clear();
    library.destroy("dnnl_stream_destroy", stream);
  }
}
