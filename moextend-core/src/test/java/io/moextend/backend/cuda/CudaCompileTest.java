package io.moextend.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.TreeSet;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.opentest4j.TestAbortedException;

/** Every kernel compiles for the cards we name, and none keeps registers in memory. */
class CudaCompileTest {
  private static final Pattern ROW =
      Pattern.compile("(?m)^(sm_\\d+a?)\\s+(\\w+)\\s+(\\d+)\\s+(\\d+)\\s+(\\d+)\\s+(\\d+)$");

  /** Registers a thread may have. */
  private static final int MOST_REGISTERS = 255;

  @Test
  void everyKernelCompilesForSm80AndSm90WithoutSpills() throws Exception {
    requireNvcc();
    Process process =
        new ProcessBuilder(List.of(script().toString(), "sm_80", "sm_90a"))
            .redirectErrorStream(true)
            .start();
    String table = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor()).as(table).isEqualTo(0);

    var rows = ROW.matcher(table).results().toList();
    for (String arch : List.of("sm_80", "sm_90a")) {
      var names = new TreeSet<String>();
      rows.stream().filter(r -> r.group(1).equals(arch)).forEach(r -> names.add(r.group(2)));
      assertThat(names)
          .as(arch)
          .hasSizeGreaterThan(100)
          .contains("grouped_product_bf16", "attention_mma_bf16_128", "adam_f32");
    }
    assertThat(rows)
        .anySatisfy(row -> assertThat(row.group(2)).isEqualTo("grouped_product_wgmma_bf16"));
    assertThat(rows)
        .allSatisfy(
            row -> {
              assertThat(Integer.parseInt(row.group(3)))
                  .as(row.group())
                  .isBetween(1, MOST_REGISTERS);
              assertThat(row.group(6)).as("bytes spilled, " + row.group()).isEqualTo("0");
            });
  }

  private static void requireNvcc() throws InterruptedException {
    try {
      Process nvcc =
          new ProcessBuilder("nvcc", "--version")
              .redirectErrorStream(true)
              .redirectOutput(ProcessBuilder.Redirect.DISCARD)
              .start();
      if (nvcc.waitFor() == 0) {
        return;
      }
    } catch (IOException e) {
      // there is no such command
    }
    throw new TestAbortedException(
        "NOT TESTED: CUDA kernels for sm_80 and sm_90; nvcc is not on the path");
  }

  private static Path script() {
    Path folder = Path.of("").toAbsolutePath();
    while (folder != null && !Files.exists(folder.resolve("scripts/cuda-compile"))) {
      folder = folder.getParent();
    }
    assertThat(folder).as("the folder with scripts/cuda-compile above this one").isNotNull();
    return folder.resolve("scripts/cuda-compile");
  }
}
