package io.moextend.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.BackendException;
import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * The bindings to the driver and to cuBLASLt, against functions of the same names and arguments
 * (card.cpp): arguments arrive where they belong, row-major products come out right. What a real
 * card makes of them is not tested here.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class NvidiaDriverTest {
  private static final byte[] ELF = {0x7f, 'E', 'L', 'F'};

  private CudaBackend backend;

  @BeforeAll
  @SuppressWarnings("MustBeClosedChecker") // closed after all tests
  void open(@TempDir Path folder) throws IOException, InterruptedException {
    Path emulator = Emulator.library();
    Path library = folder.resolve("libcard.so");
    Path source = Emulator.folder("/io/moextend/backend/cuda/card/card.cpp").resolve("card.cpp");
    Process compiler =
        new ProcessBuilder(
                "g++",
                "-std=c++17",
                "-O1",
                "-shared",
                "-fPIC",
                source.toString(),
                "-o",
                library.toString(),
                "-ldl")
            .inheritIO()
            .start();
    assertThat(compiler.waitFor()).as("g++ %s", source).isZero();
    var card = new NativeLibrary(library.toString());
    try (var arena = java.lang.foreign.Arena.ofConfined()) {
      long path = arena.allocateFrom(emulator.toString()).address();
      assertThat(card.call("card_use", path)).isZero();
    }
    var api = new DriverApi(library.toString());
    backend = EmulatedCuda.open(new NvidiaDriver(api, 0, (name, text) -> ELF, card, "paper"));
  }

  @AfterAll
  void close() {
    backend.close();
  }

  @Test
  void theCardIsDescribed() {
    assertThat(backend.device())
        .isEqualTo(
            "a card of paper, compute capability 8.0, 108 multiprocessors, 1,024 MiB; paper");
  }

  @ParameterizedTest
  @EnumSource(names = {"F32", "BF16"})
  void productsAreThoseOfPlainLoops(DType type) {
    try (CudaBackend loops =
            EmulatedCuda.open(new EmulatedDriver(Emulator.library(), 1L << 28, true));
        Arena a = backend.arena("card");
        Arena b = loops.arena("loops")) {
      assertThat(CudaMemoryTest.products(backend, a, type))
          .containsExactly(CudaMemoryTest.products(loops, b, type));
      // another time, by the plans that were kept
      assertThat(CudaMemoryTest.products(backend, a, type))
          .containsExactly(CudaMemoryTest.products(loops, b, type));
    }
  }

  @Test
  void memoryKernelsAndCopiesWorkFromAnyThread() throws InterruptedException {
    float[] seen = new float[3];
    Thread thread =
        new Thread(
            () -> {
              try (Arena arena = backend.arena("thread")) {
                Array x = backend.floats(arena, DType.F32, new float[] {1, -2, 4}, 3);
                Array sum = backend.addScaled(arena, x, x, 0.5);
                System.arraycopy(backend.toFloats(arena, sum), 0, seen, 0, 3);
              }
            });
    thread.start();
    thread.join();
    assertThat(seen).containsExactly(1.5f, -3, 6);
  }

  @Test
  void theSideStreamAndTheMainOneWaitForEachOther() {
    assertThat(backend.sideStream()).isEqualTo(backend.sideStream()).isNotZero();
    assertThat(backend.sideStreamIsDone()).isTrue();
    backend.awaitSideStream();
    backend.synchronize();
  }

  @Test
  void aCardThatIsFullIsToldWithWhatTheDriverKnows() {
    try (Arena arena = backend.arena("full")) {
      assertThatThrownBy(() -> arena.allocate(DType.F32, 3, 1 << 28))
          .isInstanceOf(BackendException.class)
          .hasMessageContaining("out of memory on a card of paper")
          .hasMessageContaining("512 MiB free on the card");
    }
  }
}
