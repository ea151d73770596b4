package io.moextend.backend.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.AttentionKernels.Attention;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider.Options;
import io.moextend.backend.Backends;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Attention on this backend: the memory it takes, and what is not a number. */
class CpuAttentionTest {
  private Backend backend;
  private Arena arena;

  @BeforeEach
  @SuppressWarnings("MustBeClosedChecker") // closed after each test
  void open() {
    backend = Backends.open("cpu", new Options(2, 0));
    arena = backend.arena("test");
  }

  @AfterEach
  void close() {
    arena.close();
    backend.close();
  }

  @Test
  void attentionTakesMemoryInProportionToTheSequence() {
    assertThat(bytesOfAttention(8192)).isLessThan(21 * bytesOfAttention(4096) / 10);
    assertThat(bytesOfAttention(8192)).isLessThan(8192L * 8192 / 4);
  }

  private long bytesOfAttention(int length) {
    var shape = new Attention(1, length, length, 1, 1, 16, 0.25, true, 0);
    try (var own = backend.arena("attention")) {
      Array q = Numbers.random(backend, own, DType.BF16, 1, length, 16);
      long before = backend.memory().liveBytes();
      backend.memory().resetPeak();
      var attended = backend.attend(own, shape, q, q, q, null, null);
      backend.attendBackward(own, shape, q, q, q, q, attended, null, null, false);
      return backend.memory().peakBytes() - before;
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"F32", "BF16"})
  void aQueryThatIsNotANumberIsSeenInItsResultAlone(DType type) {
    var shape = new Attention(1, 70, 70, 2, 1, 16, 0.25, true, 0);
    Array q = Numbers.random(backend, arena, type, 1, 70, 32);
    backend.fillInto(q.slice(40, 41), Double.NaN);
    Array k = Numbers.random(backend, arena, type, 2, 70, 16);
    var attended = backend.attend(arena, shape, q, k, k, null, null);
    var d = backend.attendBackward(arena, shape, q, q, k, k, attended, null, null, false);
    double[] out = Numbers.of(backend, attended.out());
    for (int i = 0; i < out.length; i++) {
      assertThat(Double.isNaN(out[i])).as("[%d, %d]", i / 32, i % 32).isEqualTo(i / 32 == 40);
    }
    assertThat(Numbers.of(backend, d.dQ())).contains(Double.NaN);
  }
}
