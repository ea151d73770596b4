package io.moextend.backend.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider.Options;
import io.moextend.backend.Backends;
import io.moextend.backend.Matrix;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Arrays of this backend: mapped ones, and that none is left behind. */
class CpuArraysTest {
  private Backend backend;
  private io.moextend.array.Arena arena;

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
  void mappedMemoryIsReadInPlaceEvenUnalignedAndNeverWritten() {
    Array w;
    try (Arena mapped = Arena.ofShared()) {
      MemorySegment memory = mapped.allocate(4 * 12 + 1).asSlice(1);
      for (int i = 0; i < 12; i++) {
        memory.set(ValueLayout.JAVA_FLOAT_UNALIGNED, 4L * i, i);
      }
      long before = backend.memory().liveBytes();
      w = backend.wrap(arena, DType.F32, memory, 4, 3);
      assertThat(backend.memory().liveBytes()).isEqualTo(before);
      Array x = backend.floats(arena, DType.F32, new float[] {1, 0, 2}, 1, 3);
      try (Matrix matrix = backend.matrix(List.of(w), true)) {
        assertThat(Numbers.of(backend, backend.product(arena, x, matrix, null, DType.F32)))
            .containsExactly(4, 13, 22, 31);
      }
      Array shown = w;
      assertThatThrownBy(() -> backend.fillInto(shown, 0)).hasMessageContaining("read-only");
    }
    assertThat(w.isLive()).isFalse();
  }

  @Test
  void twoHundredStepsLeaveNoMemoryBehind() {
    long live = backend.memory().liveBytes();
    long idle = 0;
    for (int step = 0; step < 200; step++) {
      try (var own = backend.arena("step")) {
        Array x = Numbers.random(backend, own, DType.BF16, step, 20 + step % 30, 64);
        Array w = Numbers.random(backend, own, DType.BF16, 1, 64, 64);
        try (Matrix matrix = backend.matrix(List.of(w), step % 2 == 0)) {
          Array y = backend.product(own, x, matrix, null, DType.BF16);
          backend.productTransposed(own, y, matrix);
          backend.weightGradient(own, y, 0, 64, x);
        }
      }
      assertThat(backend.memory().liveBytes()).isEqualTo(live);
      if (step == 100) {
        idle = ((CpuMemory) backend.memory()).idleBytes();
      }
    }
    assertThat(((CpuMemory) backend.memory()).idleBytes()).isEqualTo(idle);
  }
}
