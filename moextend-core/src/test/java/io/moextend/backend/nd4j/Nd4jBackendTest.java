package io.moextend.backend.nd4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.AttentionKernels.Attention;
import io.moextend.backend.AttentionKernels.Sight;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendException;
import io.moextend.backend.BackendProvider.Options;
import io.moextend.backend.Backends;
import io.moextend.backend.Matrix;
import io.moextend.backend.plain.PlainBackend;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class Nd4jBackendTest {
  private Backend backend;
  private Arena arena;

  @BeforeEach
  @SuppressWarnings("MustBeClosedChecker") // closed after each test
  void open() {
    backend = Backends.open("nd4j", new Options(2, 0));
    arena = backend.arena("test");
  }

  @AfterEach
  void close() {
    arena.close();
    backend.close();
  }

  @Test
  void aProductIsTheRowsTimesTheTransposedWeightPlusTheBias() {
    Array x = doubles(new long[] {2, 3}, 1, 2, 3, 4, 5, 6);
    Array w = doubles(new long[] {2, 3}, 1, 0, -1, 2, 1, 0);
    Array bias = doubles(new long[] {2}, 10, 20);
    try (Matrix matrix = backend.matrix(List.of(w), true)) {
      assertThat(values(backend.product(arena, x, matrix, bias, DType.F64)))
          .containsExactly(8, 24, 8, 33);
    }
  }

  @Test
  void aQueryThatSeesNoKeyGetsZeros() {
    Array q = doubles(new long[] {2, 1}, 1, 2);
    Array k = doubles(new long[] {2, 1}, 3, 4);
    Array v = doubles(new long[] {2, 1}, 5, 6);
    Array mask = arena.allocate(DType.U8, 1, 2);
    backend.copyIn(mask, MemorySegment.ofArray(new byte[] {0, 1}));
    var shape = new Attention(1, 2, 2, 1, 1, 1, 1.0, true, 0);
    assertThat(values(backend.attend(arena, shape, q, k, v, Sight.of(mask), null).out()))
        .containsExactly(0, 6);
  }

  @Test
  void aMatrixInBf16IsRefusedWithTheMend() {
    Array w = arena.allocate(DType.BF16, 2, 3);
    assertThatThrownBy(() -> backend.matrix(List.of(w), true).close())
        .isInstanceOf(BackendException.class)
        .hasMessageContaining("--dtype f32")
        .hasMessageContaining("backend cpu");
  }

  @Test
  void anArrayOfAClosedArenaIsRefused() {
    Array x = doubles(new long[] {1}, 1);
    arena.close();
    assertThat(x.isLive()).isFalse();
    assertThatThrownBy(() -> backend.scale(arena, x, 2)).isInstanceOf(IllegalStateException.class);
  }

  @Test
  void aRowNumberBeyondTheTableIsRefusedByName() {
    Array table = doubles(new long[] {2, 1}, 1, 2);
    Array rows = arena.allocate(DType.I32, 2);
    backend.copyIn(rows, MemorySegment.ofArray(new int[] {1, 2}));
    assertThatThrownBy(() -> backend.gatherRows(arena, table, rows))
        .isInstanceOf(IndexOutOfBoundsException.class)
        .hasMessage("rows[1] is 2, of a table of 2 rows");
  }

  @Test
  void wrappedMemoryIsNotWritten() {
    try (var owner = java.lang.foreign.Arena.ofConfined()) {
      MemorySegment memory = owner.allocate(16, 64);
      Array wrapped = backend.wrap(arena, DType.F64, memory, 2);
      assertThatThrownBy(() -> backend.fillInto(wrapped, 1)).hasMessageContaining("read-only");
      assertThatThrownBy(() -> backend.copyIn(wrapped, memory)).hasMessageContaining("read-only");
    }
  }

  @Test
  void anArrayOverMemoryThatIsGoneIsRefused() {
    Array wrapped;
    try (var owner = java.lang.foreign.Arena.ofConfined()) {
      wrapped = backend.wrap(arena, DType.F64, owner.allocate(16, 64), 2);
    }
    assertThat(wrapped.isLive()).isFalse();
    assertThatThrownBy(() -> backend.scale(arena, wrapped, 2)).hasMessageContaining("freed");
  }

  @Test
  void anArrayOfAnotherBackendIsRefused() {
    try (Backend other = new PlainBackend();
        Arena theirs = other.arena("theirs")) {
      Array x = theirs.allocate(DType.F64, 1);
      assertThatThrownBy(() -> backend.scale(arena, x, 2))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("not of backend nd4j");
    }
  }

  @Test
  void expertsStayDistinctWhereScoresAreNotNumbers() {
    Array scores = doubles(new long[] {1, 4}, Double.NaN, 1, Double.NaN, 2);
    Array chosen = backend.topK(arena, scores, 4);
    int[] values = new int[4];
    backend.copyOut(chosen, MemorySegment.ofArray(values));
    assertThat(values).containsExactly(3, 1, 0, 2);
  }

  private Array doubles(long[] shape, double... values) {
    Array array = arena.allocate(DType.F64, shape);
    backend.copyIn(array, MemorySegment.ofArray(values));
    return array;
  }

  private double[] values(Array array) {
    double[] values = new double[Math.toIntExact(array.size())];
    backend.copyOut(array, MemorySegment.ofArray(values));
    return values;
  }
}
