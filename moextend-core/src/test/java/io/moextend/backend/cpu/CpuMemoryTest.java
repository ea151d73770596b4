package io.moextend.backend.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.BackendException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class CpuMemoryTest {
  private final CpuMemory memory = new CpuMemory();

  @AfterEach
  void close() {
    memory.close();
  }

  @Test
  void everyArrayBeginsAtAMultipleOf64Bytes() {
    for (int n : new int[] {0, 1, 7, 63, 64, 65, 1000, 4097, 1 << 20, 3 << 20, 5_000_001}) {
      CpuArray array = memory.allocate(DType.U8, n);
      assertThat(array.address() % 64).as("of %d bytes", n).isZero();
      array.clear(0, n); // all of it can be written
    }
  }

  @Test
  void aSizeClassWastesAtMostAQuarter() {
    for (long bytes = 1; bytes < 1L << 40; bytes = bytes * 21 / 20 + 1) {
      long capacity = CpuMemory.sizeClass(bytes);
      assertThat(capacity).isGreaterThanOrEqualTo(bytes).isEqualTo(CpuMemory.sizeClass(capacity));
      assertThat(capacity % 64).isZero();
      assertThat(capacity).isLessThanOrEqualTo(Math.max(64, bytes + bytes / 4 + 64));
    }
  }

  @Test
  void aFreedBlockServesTheNextArrayOfItsClassAndTrimGivesItBack() {
    CpuArray first = memory.allocate(DType.F32, 1000);
    long address = first.address();
    memory.free(first);
    assertThat(memory.idleBytes()).isEqualTo(CpuMemory.sizeClass(4000));
    CpuArray second = memory.allocate(DType.BF16, 1999);
    assertThat(second.address()).isEqualTo(address);
    memory.free(second);
    memory.trim();
    assertThat(memory.idleBytes()).isZero();
  }

  @Test
  void liveAndPeakBytesCountArraysNotClasses() {
    CpuArray a = memory.allocate(DType.F32, 3, 5);
    CpuArray b = memory.allocate(DType.BF16, 7);
    assertThat(memory.liveBytes()).isEqualTo(74);
    memory.free(a);
    assertThat(memory.liveBytes()).isEqualTo(14);
    assertThat(memory.peakBytes()).isEqualTo(74);
    memory.resetPeak();
    assertThat(memory.peakBytes()).isEqualTo(14);
    memory.free(b);
  }

  @Test
  void viewsDieWithTheirArrayAndItIsNotFreedTwice() {
    CpuArray array = memory.allocate(DType.F32, 4, 6);
    Array view = array.slice(1, 3).reshape(12);
    assertThat(view.isLive()).isTrue();
    assertThat(CpuArray.of(view).address()).isEqualTo(array.address() + 24);
    memory.free(array);
    assertThat(view.isLive()).isFalse();
    assertThatThrownBy(() -> CpuArray.of(view))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("was freed");
    assertThatThrownBy(() -> memory.free(array))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("freed before");
  }

  @Test
  void aBlockUsedAgainDoesNotReviveTheArrayItServedBefore() {
    CpuArray before = memory.allocate(DType.F32, 16);
    memory.free(before);
    CpuArray after = memory.allocate(DType.F32, 16);
    assertThat(after.address()).isEqualTo(before.address());
    assertThat(before.isLive()).isFalse();
    assertThat(after.isLive()).isTrue();
  }

  @Test
  void moreThanTheMachineHasIsRefusedWithTheMend() {
    assertThatThrownBy(() -> memory.allocate(DType.F32, 1L << 56))
        .isInstanceOf(BackendException.class)
        .hasMessageContaining("out of memory")
        .hasMessageContaining("smaller batch");
    assertThatThrownBy(() -> memory.allocate(DType.F32, 1L << 40, 1L << 30))
        .isInstanceOf(ArithmeticException.class);
  }

  @Test
  void stepsOfChangingSizesDoNotGrowTheMemory() {
    long peak = 0;
    for (int step = 0; step < 200; step++) {
      try (Arena arena = new Arena("step", memory)) {
        for (int i = 1; i < 20; i++) {
          arena.allocate(DType.F32, 1000L * i + 37L * (step % 50) * i);
        }
      }
      assertThat(memory.liveBytes()).isZero();
      peak = Math.max(peak, memory.peakBytes());
    }
    assertThat(memory.idleBytes()).isLessThan(2 * peak + (64L << 20));
  }
}
