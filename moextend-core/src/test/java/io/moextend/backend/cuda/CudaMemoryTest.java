package io.moextend.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.fail;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.BackendException;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** The card's memory, on the emulated card. */
class CudaMemoryTest {
  private static final long SEED = 5;
  private static final long CARD = 256L << 20;

  private final EmulatedDriver driver = new EmulatedDriver(Emulator.library(), CARD, true);
  private final CudaBackend backend = EmulatedCuda.open(driver);

  @AfterEach
  void close() {
    backend.close();
    assertThat(driver.live()).as("what the driver did not get back").isZero();
  }

  @Test
  void whatAStepGaveBackTheNextStepTakesWithoutTheDriver() {
    var memory = (CudaMemory) backend.memory();
    long held = 0;
    for (int step = 0; step < 20; step++) {
      try (Arena arena = backend.arena("step")) {
        for (int i = 1; i < 40; i++) {
          Array array = arena.allocate(DType.F32, i, 5000);
          if (i % 3 == 0) {
            arena.free(array);
          }
        }
      }
      assertThat(memory.liveBytes()).isZero();
      held = step == 0 ? memory.heldBytes() : held;
      assertThat(memory.heldBytes()).as("after step %d", step).isEqualTo(held);
    }
  }

  @Test
  void piecesNeverOverlapAndJoinAgain() {
    var random = new Random(SEED);
    var memory = (CudaMemory) backend.memory();
    var live = new ArrayList<CudaArray>();
    for (int i = 0; i < 1000; i++) {
      if (live.size() < 30 && random.nextInt(5) < 3) {
        live.add(
            memory.allocate(DType.U8, 1 + random.nextInt(random.nextInt(8) == 0 ? 3 << 20 : 9000)));
      } else if (!live.isEmpty()) {
        memory.free(live.remove(random.nextInt(live.size())));
      }
      var sorted = new ArrayList<>(live);
      sorted.sort((a, b) -> Long.compare(a.address(), b.address()));
      for (int j = 1; j < sorted.size(); j++) {
        CudaArray before = sorted.get(j - 1);
        if (sorted.get(j).address() < before.address() + before.bytes()) {
          fail("%s and %s overlap, seed %d, turn %d", before, sorted.get(j), SEED, i);
        }
      }
    }
    live.forEach(memory::free);
    CudaArray all = memory.allocate(DType.U8, 200L << 20); // the idle segments have to go for it
    assertThat(all.isLive()).isTrue();
    memory.free(all);
  }

  @Test
  void whoHoldsMostIsNamedWhenTheCardIsFull() {
    try (Arena weights = backend.arena("weights");
        Arena step = backend.arena("micro-batch")) {
      weights.allocate(DType.F32, 40 << 20);
      step.allocate(DType.BF16, 4 << 20);
      assertThatThrownBy(() -> step.allocate(DType.F32, 30, 1 << 20))
          .isInstanceOf(BackendException.class)
          .hasMessageContaining("out of memory on an emulated card: 120 MiB for F32[30, 1048576]")
          .hasMessageContaining("168 MiB of 256 MiB live here")
          .hasMessageContaining("weights 160 MiB, micro-batch 8 MiB")
          .hasMessageContaining("--checkpointing");
      assertThat(step.allocate(DType.F32, 1 << 20).isLive()).isTrue();
    }
  }

  @Test
  void countersFollowWhatIsLive() {
    try (Arena arena = backend.arena("a")) {
      Array first = arena.allocate(DType.F32, 1000);
      arena.allocate(DType.U8, 7);
      assertThat(backend.memory().liveBytes()).isEqualTo(4007);
      arena.free(first);
      assertThat(backend.memory().liveBytes()).isEqualTo(7);
      assertThat(backend.memory().peakBytes()).isEqualTo(4007);
      backend.memory().resetPeak();
      assertThat(backend.memory().peakBytes()).isEqualTo(7);
      assertThatThrownBy(() -> backend.memory().free(first)).hasMessageContaining("freed before");
    }
  }

  /** More than the page-locked buffers hold, and no multiple of them. */
  @Test
  void aLargeCopyGoesThroughInPieces() {
    byte[] bytes = new byte[(40 << 20) + 13];
    new Random(SEED).nextBytes(bytes);
    try (Arena arena = backend.arena("large")) {
      Array array = backend.wrap(arena, DType.U8, MemorySegment.ofArray(bytes), bytes.length);
      byte[] back = backend.toBytes(array);
      assertThat(Arrays.mismatch(back, bytes)).isEqualTo(-1);
    }
  }

  @Test
  void aRowNumberOutOfRangeIsToldAtTheNextWait() {
    try (Arena arena = backend.arena("rows")) {
      Array table = backend.floats(arena, DType.F32, new float[] {1, 2, 3}, 3, 1);
      Array picked = backend.gatherRows(arena, table, backend.ints(arena, new int[] {0, 7}, 2));
      assertThatThrownBy(() -> backend.toFloats(arena, picked))
          .isInstanceOf(BackendException.class)
          .hasMessageContaining("row number");
      backend.synchronize(); // told once
    }
  }

  @Test
  void productsTheLibraryHasNoWayForAreDoneByTheKernelOfTheExperts() {
    try (CudaBackend alone =
            EmulatedCuda.open(new EmulatedDriver(Emulator.library(), CARD, false));
        Arena a = alone.arena("alone");
        Arena b = backend.arena("both")) {
      for (DType type : List.of(DType.F32, DType.BF16)) {
        assertThat(products(alone, a, type))
            .as("%s", type)
            .containsExactly(products(backend, b, type));
      }
    }
  }

  /** Small whole numbers, so that every order of summing gives the same. */
  static float[] products(CudaBackend backend, Arena arena, DType type) {
    var random = new Random(SEED);
    Array x = whole(backend, arena, type, random, 21, 19);
    Array d = whole(backend, arena, type, random, 21, 12);
    Array upper = whole(backend, arena, type, random, 7, 19);
    Array lower = whole(backend, arena, type, random, 5, 19);
    Array bias = whole(backend, arena, type, random, 12);
    try (var w = backend.matrix(List.of(upper, lower), true)) {
      var results =
          List.of(
              backend.product(arena, x, w, bias, type),
              backend.product(arena, x, w, bias, DType.F32),
              backend.productTransposed(arena, d, w),
              backend.weightGradient(arena, d, 3, 10, x));
      float[] all = new float[0];
      for (Array result : results) {
        float[] part = backend.toFloats(arena, result);
        all = Arrays.copyOf(all, all.length + part.length);
        System.arraycopy(part, 0, all, all.length - part.length, part.length);
      }
      return all;
    }
  }

  private static Array whole(
      CudaBackend backend, Arena arena, DType type, Random random, long... shape) {
    float[] values = new float[(int) Array.sizeOf(shape)];
    for (int i = 0; i < values.length; i++) {
      values[i] = random.nextInt(5) - 2;
    }
    return backend.floats(arena, type, values, shape);
  }
}
