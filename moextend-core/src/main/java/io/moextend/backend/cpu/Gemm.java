package io.moextend.backend.cpu;

import io.moextend.array.DType;
import java.util.LinkedHashMap;

/**
 * One worker's products: oneDNN primitives by shape, the least recently used given back beyond a
 * bound. Not thread-safe.
 */
final class Gemm implements AutoCloseable {
  private static final int KEPT = 512;

  /** How a two-dimensional operand lies in memory; strides in elements. */
  sealed interface Layout {
    /** Element (i, j) at i·rowStride + j·columnStride. */
    record Plain(long rowStride, long columnStride) implements Layout {}

    /** As the library chose for {@link PackedLayouts}; the handle is the layouts'. */
    record Packed(long handle) implements Layout {}
  }

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
      Layout.Plain source,
      Layout weights,
      long resultStride,
      boolean bias,
      boolean accumulate) {}

  /** A copy of a [rows, columns] operand from one layout to another. */
  record Copy(int rows, int columns, DType type, Layout from, Layout to) {}

  private final OneDnn library;
  private final Lane lane;
  private final long stream;
  private final LinkedHashMap<Object, Primitive> primitives = new LinkedHashMap<>(64, 0.75f, true);

  Gemm(OneDnn library, Lane lane) {
    this.library = library;
    this.lane = lane;
    this.stream = library.stream();
  }

  /**
   * @param bias its address; not read where the shape has none
   */
  void multiply(Shape shape, long source, long weights, long bias, long result) {
    if (shape.type == DType.BF16 && !library.isa().multipliesBf16()) {
      WideProduct.multiply(this, lane, shape, source, weights, bias, result);
    } else {
      run(shape, source, weights, bias, result);
    }
  }

  /** As {@link #multiply}, in exactly the types of the shape. */
  void run(Shape shape, long source, long weights, long bias, long result) {
    Primitive primitive = primitives.get(shape);
    if (primitive == null) {
      primitive = keep(shape, matmul(shape));
    }
    primitive.run(stream, lane, source, weights, result, bias);
  }

  void copy(Copy shape, long from, long to) {
    Primitive primitive = primitives.get(shape);
    if (primitive == null) {
      primitive = keep(shape, reorder(shape));
    }
    primitive.run(stream, lane, from, to, 0, 0);
  }

  private Primitive keep(Object key, Primitive made) {
    if (primitives.size() >= KEPT) {
      primitives.pollFirstEntry().getValue().close();
    }
    primitives.put(key, made);
    return made;
  }

  private Primitive matmul(Shape s) {
    try (var owned = new Handles(library)) {
      long source = owned.layout(layout(s.type, s.rows, s.inner, s.source));
      long weights =
          switch (s.weights) {
            case Layout.Packed(long handle) -> handle;
            case Layout.Plain plain -> owned.layout(layout(s.type, s.inner, s.columns, plain));
          };
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

  private Primitive reorder(Copy c) {
    try (var owned = new Handles(library)) {
      long from = side(owned, c, c.from);
      long to = side(owned, c, c.to);
      long attributes = owned.attributes(library.attributes(false));
      long description = owned.description(library.reorder(from, to, attributes));
      return new Primitive(
          library, description, new int[] {OneDnn.SOURCE, OneDnn.RESULT}, new long[] {from, to});
    }
  }

  private long side(Handles owned, Copy c, Layout layout) {
    return switch (layout) {
      case Layout.Packed(long handle) -> handle;
      case Layout.Plain plain -> owned.layout(layout(c.type, c.rows, c.columns, plain));
    };
  }

  private long layout(DType type, long rows, long columns, Layout.Plain plain) {
    return library.layout(type, rows, columns, plain.rowStride, plain.columnStride);
  }

  @Override
  public void close() {
    primitives.values().forEach(Primitive::close);
    primitives.clear();
    library.destroy("dnnl_stream_destroy", stream);
  }
}
