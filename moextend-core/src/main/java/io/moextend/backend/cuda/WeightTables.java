package io.moextend.backend.cuda;

import io.moextend.array.DType;
import io.moextend.array.ShapeException;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The tables by which grouped products find their weights, on the card: the addresses of all
 * experts' parts, and the row each part ends at. Kept by content, so that a step's layers are
 * written once.
 */
final class WeightTables implements AutoCloseable {
  private static final int KEPT = 512;

  /**
   * @param addresses [experts·parts] I64
   * @param ends [parts] I32
   */
  record Table(CudaArray addresses, CudaArray ends, int parts) {}

  private record Content(List<Long> addresses, List<Integer> ends) {}

  private final CudaDevice cuda;
  private final Map<Content, Table> tables = new LinkedHashMap<>(64, 0.75f, true);

  WeightTables(CudaDevice cuda) {
    this.cuda = cuda;
  }

  /** The table of matrices that are stacked alike. */
  synchronized Table of(List<CudaMatrix> matrices) {
    var addresses = new ArrayList<Long>();
    List<Integer> ends = ends(matrices.getFirst());
    for (CudaMatrix matrix : matrices) {
      if (!ends(matrix).equals(ends)) {
        throw new ShapeException(
            "experts whose weights are stacked differently: rows end at %s and at %s"
                .formatted(ends, ends(matrix)));
      }
      matrix.parts().forEach(part -> addresses.add(part.weights().address()));
    }
    var content = new Content(List.copyOf(addresses), ends);
    Table known = tables.get(content);
    if (known == null) {
      known = written(content);
      tables.put(content, known);
      if (tables.size() > KEPT) {
        var oldest = tables.values().iterator();
        free(oldest.next());
        oldest.remove();
      }
    }
    return known;
  }

  private static List<Integer> ends(CudaMatrix matrix) {
    return matrix.parts().stream()
        .map(part -> Math.toIntExact(part.first() + part.rows()))
        .toList();
  }

  private Table written(Content content) {
    CudaArray addresses = cuda.memory().allocateUncounted(DType.I64, content.addresses.size());
    long[] values = content.addresses.stream().mapToLong(Long::longValue).toArray();
    cuda.copyIn(addresses, MemorySegment.ofArray(values));
    CudaArray ends = cuda.memory().allocateUncounted(DType.I32, content.ends.size());
    int[] rows = content.ends.stream().mapToInt(Integer::intValue).toArray();
    cuda.copyIn(ends, MemorySegment.ofArray(rows));
    return new Table(addresses, ends, rows.length);
  }

  private void free(Table table) {
    cuda.memory().free(table.addresses);
    cuda.memory().free(table.ends);
  }

  @Override
  public synchronized void close() {
    tables.values().forEach(this::free);
    tables.clear();
  }
}
