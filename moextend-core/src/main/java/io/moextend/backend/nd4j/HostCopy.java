package io.moextend.backend.nd4j;

import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.array.ShapeException;
import java.lang.foreign.MemorySegment;
import org.nd4j.linalg.api.concurrency.AffinityManager.Location;
import org.nd4j.linalg.factory.Nd4j;

/** Moves elements between arrays and the host's memory; waits for the device. */
final class HostCopy {
  private HostCopy() {}

  static void in(Array to, MemorySegment from) {
    Nd4jArray own = Nd4jArray.own(to);
    Nd4jArray.requireOwned(own);
    requireSize(to, from);
    if (to.size() == 0) {
      return;
    }
    Nd4j.getExecutioner().commit();
    Nd4j.getAffinityManager().ensureLocation(own.flat(), Location.HOST);
    MemorySegment.copy(from, 0, own.hostBytes(), 0, to.bytes());
    Nd4j.getAffinityManager().tagLocation(own.flat(), Location.HOST);
  }

  static void out(Array from, MemorySegment to) {
    Nd4jArray own = Nd4jArray.own(from);
    requireSize(from, to);
    if (from.size() == 0) {
      return;
    }
    Nd4j.getExecutioner().commit();
    Nd4j.getAffinityManager().ensureLocation(own.flat(), Location.HOST);
    MemorySegment.copy(own.hostBytes(), 0, to, 0, from.bytes());
  }

  /** The elements of an I32 array. */
  static int[] ints(Array array) {
    if (array.dtype() != DType.I32) {
      throw new ShapeException("%s must be I32".formatted(array));
    }
    int[] values = new int[Math.toIntExact(array.size())];
    out(array, MemorySegment.ofArray(values));
    return values;
  }

  /** The elements of an I32 array of row numbers, each in [0, bound): ND4J does not look. */
  static int[] rowNumbers(String name, Array array, long bound) {
    int[] rows = ints(array);
    for (int i = 0; i < rows.length; i++) {
      if (rows[i] < 0 || rows[i] >= bound) {
        throw new IndexOutOfBoundsException(
            "%s[%d] is %d, of a table of %d rows".formatted(name, i, rows[i], bound));
      }
    }
    return rows;
  }

  /** The only element of a floating scalar. */
  static double scalar(Array array) {
    array.require("scalar", 1);
    return Nd4jArray.number(array).getDouble(0);
  }

  private static void requireSize(Array array, MemorySegment memory) {
    if (memory.byteSize() != array.bytes()) {
      throw new ShapeException(
          "%d bytes on the host for %s of %d bytes"
              .formatted(memory.byteSize(), array, array.bytes()));
    }
  }
}
