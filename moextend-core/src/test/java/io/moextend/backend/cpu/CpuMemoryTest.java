package io.moextend.backend.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.BackendException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.stream.IntStream;
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
  void aFreedBlockServesTheNextArrayAndTrimGivesItBack() {
    CpuArray first = memory.allocate(DType.F32, 1000);
    long address = first.address();
    memory.free(first);
    assertThat(memory.idleBytes()).isEqualTo(Slab.PAGE);
    CpuArray second = memory.allocate(DType.BF16, 1999);
    assertThat(second.address()).isEqualTo(address);
    memory.free(second);
    memory.trim();
    assertThat(memory.idleBytes()).isZero();
  }

  @Test
  void idleNeighboursServeALargerArray() {
    List<CpuArray> row = arrays(4, 3 << 20);
    memory.free(row.get(1));
    memory.free(row.get(0));
    memory.free(row.get(2));
    assertThat(memory.allocate(DType.U8, 9 << 20).address()).isEqualTo(row.getFirst().address());
  }

  @Test
  void weightsLieCloseTogether() {
    int bytes = 1024 * 3584 * 2;
    List<CpuArray> weights = arrays(100, bytes);
    assertThat(memory.liveBytes()).isEqualTo(100L * bytes);
    // slabs end where the next weight does not fit: those pages are not touched
    assertThat(memory.idleBytes()).isLessThan(4 * Slab.PAGE);
    weights.forEach(memory::free);
  }

  @Test
  void trimGivesBackWhatLiesBetweenLiveArraysAndLeavesThose() {
    int n = 2 << 20;
    List<CpuArray> row =
        IntStream.range(0, 3).mapToObj(i -> memory.allocate(DType.F32, n)).toList();
    row.forEach(array -> array.setFloat(n - 1, 7));
    memory.free(row.get(1));
    assertThat(memory.idleBytes()).isEqualTo(8 << 20);
    memory.trim();
    assertThat(memory.idleBytes()).isZero();
    CpuArray again = memory.allocate(DType.F32, n);
    assertThat(again.address()).isEqualTo(row.get(1).address());
    assertThat(row.get(0).floatAt(n - 1)).isEqualTo(7);
    assertThat(again.floatAt(n - 1)).as("a fresh page").isZero();
    assertThat(row.get(2).floatAt(n - 1)).isEqualTo(7);
  }

  @Test
  void blocksNeverOverlapAndIdlePagesStayBounded() {
    long seed = System.nanoTime();
    var random = new SplittableRandom(seed);
    var ends = new TreeMap<Long, Long>();
    var live = new ArrayList<CpuArray>();
    long most = 0;
    for (int i = 0; i < 20_000; i++) {
      if (live.size() > random.nextInt(200)) {
        CpuArray array = live.remove(random.nextInt(live.size()));
        ends.remove(array.address());
        memory.free(array);
      } else {
        CpuArray array = memory.allocate(DType.U8, 1L << random.nextInt(23), 1 + random.nextInt(3));
        assertOverlapsNone(array, ends, seed);
        ends.put(array.address(), array.address() + array.bytes());
        live.add(array);
      }
      most = Math.max(most, memory.liveBytes());
      assertThat(memory.liveBytes() + memory.idleBytes())
          .as("seed %d", seed)
          .isLessThan(most + most / 4 + (66L << 20));
    }
  }

  private static void assertOverlapsNone(CpuArray array, TreeMap<Long, Long> ends, long seed) {
    Map.Entry<Long, Long> before = ends.floorEntry(array.address());
    Long after = ends.ceilingKey(array.address());
    assertThat(before == null ? 0 : before.getValue())
        .as("end of the block before, seed %d", seed)
        .isLessThanOrEqualTo(array.address());
    assertThat(after == null ? Long.MAX_VALUE : after)
        .as("start of the block after, seed %d", seed)
        .isGreaterThanOrEqualTo(array.address() + array.bytes());
  }

  private List<CpuArray> arrays(int count, int bytes) {
    return IntStream.range(0, count).mapToObj(i -> memory.allocate(DType.U8, bytes)).toList();
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
    var idle = new ArrayList<Long>();
    for (int step = 0; step < 200; step++) {
      try (Arena arena = new Arena("step", memory)) {
        for (int i = 1; i < 20; i++) {
          arena.allocate(DType.F32, 10000L * i + 370L * (step % 50) * i);
        }
      }
      assertThat(memory.liveBytes()).isZero();
      idle.add(memory.idleBytes());
    }
    assertThat(idle.subList(50, 200)).containsOnly(idle.get(49));
    assertThat(idle.getLast()).isLessThan(memory.peakBytes() + 2 * Slab.PAGE);
  }
}
