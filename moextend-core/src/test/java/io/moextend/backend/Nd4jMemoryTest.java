package io.moextend.backend;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.array.DType;
import io.moextend.backend.BackendProvider.Options;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.nd4j.linalg.factory.Nd4j;

/** ND4J's own count of native bytes, which sees an array that nobody closed. */
class Nd4jMemoryTest {
  private static final long SEED = 5;

  /** ND4J makes an array of each scalar operand and leaves it to the garbage collector. */
  private static final long SCALARS = 1024;

  private Backend backend;

  @BeforeEach
  @SuppressWarnings("MustBeClosedChecker") // closed after each test
  void open() {
    backend = Backends.open("nd4j", new Options(2, 0));
  }

  @AfterEach
  void close() {
    backend.close();
  }

  private static Stream<Case> cases() {
    return KernelCases.seeded().stream().map(KernelCases.Seeded::kernel);
  }

  @TestFactory
  Stream<DynamicTest> everyKernelClosesItsTemporaries() {
    return cases()
        .map(
            kernel ->
                DynamicTest.dynamicTest(
                    kernel.toString(),
                    () -> {
                      run(kernel); // first: what ND4J keeps for each shape
                      long before = nativeBytes();
                      run(kernel);
                      assertThat(nativeBytes() - before)
                          .as("bytes left by " + kernel)
                          .isLessThan(SCALARS);
                    }));
  }

  @Test
  void twoHundredRoutedLayersLeaveNothingButScalars() {
    Case kernel =
        RoutingCases.cases().filter(c -> c.what().startsWith("33 ")).findFirst().orElseThrow();
    run(kernel);
    long before = nativeBytes();
    for (int i = 0; i < 200; i++) {
      run(kernel);
    }
    assertThat(nativeBytes() - before).as("bytes left").isLessThan(200 * SCALARS);
  }

  private static long nativeBytes() {
    return Nd4j.getEnvironment().getDeviceCouner(0);
  }

  private void run(Case kernel) {
    try (Trial trial = new Trial(backend, DType.F32, DType.F32, SEED, Trial.NONE)) {
      kernel.body().accept(trial);
    }
  }
}
