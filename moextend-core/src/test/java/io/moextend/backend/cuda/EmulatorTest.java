package io.moextend.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

/**
 * The emulator shows faults; kernels stay within their arrays and give the same bits in any order.
 */
class EmulatorTest {
  @Test
  void theEmulatorShowsFaultsAndKernelsKeepWithinTheirArrays() throws Exception {
    Process process =
        new ProcessBuilder(Emulator.selfTest().toString()).redirectErrorStream(true).start();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor()).as(said).isEqualTo(0);
    assertThat(said).contains("all well");
  }
}
