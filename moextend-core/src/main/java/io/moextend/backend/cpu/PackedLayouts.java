package io.moextend.backend.cpu;

import io.moextend.array.DType;
import java.util.HashMap;
import java.util.Map;

/**
 * The layouts oneDNN wants weights in, one for each shape whatever the row count, so that weights
 * packed once serve every batch. Thread-safe.
 */
final class PackedLayouts implements AutoCloseable {
  /** The row count the library is asked for: that of a full block. */
  private static final int ROWS = RowBlocks.LARGEST;

  private record Shape(long inner, long columns, DType type) {}

  /**
   * @param bytes of memory it takes
   */
  record Chosen(Gemm.Layout.Packed layout, long bytes) {}

  private final OneDnn library;
  private final Map<Shape, Chosen> chosen = new HashMap<>();

  PackedLayouts(OneDnn library) {
    this.library = library;
  }

  /** For weights [inner, columns]. */
  synchronized Chosen of(long inner, long columns, DType type) {
    return chosen.computeIfAbsent(new Shape(inner, columns, type), this::ask);
  }

  private Chosen ask(Shape s) {
    try (var owned = new Handles(library)) {
      long source = owned.layout(library.layout(s.type, ROWS, s.inner, s.inner, 1));
      long weights = owned.layout(library.anyLayout(s.type, s.inner, s.columns));
      long result = owned.layout(library.layout(s.type, ROWS, s.columns, s.columns, 1));
      long attributes = owned.attributes(library.attributes(false));
      long description = owned.description(library.matmul(source, weights, 0, result, attributes));
      long layout = library.weightsOf(description);
      return new Chosen(new Gemm.Layout.Packed(layout), library.bytes(layout));
    }
  }

  @Override
  public synchronized void close() {
    chosen.values().forEach(c -> library.destroy("dnnl_memory_desc_destroy", c.layout.handle()));
    chosen.clear();
  }
}
