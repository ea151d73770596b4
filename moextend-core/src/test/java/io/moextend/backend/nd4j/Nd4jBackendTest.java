package io.moextend.backend.nd4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.AttentionKernels.Attention;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendException;
import io.moextend.backend.BackendProvider.Options;
import io.moextend.backend.Backends;
import io.moextend.backend.Matrix;
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
    assertThat(values(backend.attend(arena, shape, q, k, v, mask, null).out()))
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
