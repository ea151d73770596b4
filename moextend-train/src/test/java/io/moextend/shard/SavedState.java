package io.moextend.shard;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.Backend;
import io.moextend.backend.Rounding;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Map;
import java.util.TreeMap;

/** What ranks have saved, put together by name; each element once. */
final class SavedState {
  private final Map<String, double[]> arrays = new TreeMap<>();
  private final Map<String, BitSet> written = new TreeMap<>();
  private final Map<String, long[]> numbers = new TreeMap<>();

  /** Takes one rank's pieces; ranks may come at the same time. */
  Optimizer.StateWriter writer(Backend backend) {
    return new Optimizer.StateWriter() {
      @Override
      public void piece(String name, long total, long from, Array values) {
        byte[] bytes = new byte[(int) values.bytes()];
        backend.copyOut(values, MemorySegment.ofArray(bytes));
        double[] piece = Rounding.decode(values.dtype(), MemorySegment.ofArray(bytes));
        synchronized (SavedState.this) {
          double[] whole = arrays.computeIfAbsent(name, n -> new double[(int) total]);
          BitSet seen = written.computeIfAbsent(name, n -> new BitSet());
          assertThat(seen.get((int) from, (int) from + piece.length).isEmpty())
              .as("%s from %d was not written before", name, from)
              .isTrue();
          seen.set((int) from, (int) from + piece.length);
          System.arraycopy(piece, 0, whole, (int) from, piece.length);
        }
      }

      @Override
      public void numbers(String name, long[] values) {
        synchronized (SavedState.this) {
          assertThat(numbers.put(name, values)).as(name).isNull();
        }
      }
    };
  }

  Optimizer.StateReader reader(Backend backend) {
    return new Optimizer.StateReader() {
      @Override
      public void piece(String name, long total, long from, Array into) {
        double[] whole = arrays.get(name);
        assertThat(whole).as(name).hasSize((int) total);
        DType dtype = into.dtype();
        double[] piece = Arrays.copyOfRange(whole, (int) from, (int) (from + into.size()));
        backend.copyIn(into, Rounding.encode(dtype, piece));
      }

      @Override
      public long[] numbers(String name, int count) {
        assertThat(numbers.get(name)).as(name).hasSize(count);
        return numbers.get(name).clone();
      }
    };
  }

  /** Throws unless every element was written by somebody. */
  SavedState whole() {
    arrays.forEach(
        (name, values) ->
            assertThat(written.get(name).cardinality()).as(name).isEqualTo(values.length));
    return this;
  }

  double[] array(String name) {
    return arrays.get(name);
  }

  /** Throws unless both hold the same bits under the same names. */
  void requireSame(SavedState other) {
    assertThat(other.arrays.keySet()).isEqualTo(arrays.keySet());
    arrays.forEach((name, v) -> assertThat(other.arrays.get(name)).as(name).isEqualTo(v));
    assertThat(other.numbers.keySet()).isEqualTo(numbers.keySet());
    numbers.forEach((name, v) -> assertThat(other.numbers.get(name)).as(name).isEqualTo(v));
  }
}
