package io.moextend.backend;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.array.DType;
import io.moextend.backend.BackendProvider.Options;
import io.moextend.backend.KernelCases.Seeded;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The record of kernels that scripts/device-check takes to machines without the oracle. */
class KernelReplayTest {
  @TempDir Path folder;

  @Test
  void aBackendThatKeepsTheContractPassesTheRecordAndOneAnswerChangedIsSeen() throws IOException {
    List<Seeded> all = KernelCases.seeded();
    List<Seeded> some =
        IntStream.range(0, all.size()).filter(i -> i % 12 == 5).mapToObj(all::get).toList();
    Path file = folder.resolve("kernels.bin");
    try (Backend oracle = Backends.open("nd4j", new Options(2, 0))) {
      KernelRecord.of(oracle, some).write(file);
      KernelRecord read = KernelRecord.read(file);
      assertThat(replay(oracle, read, some))
          .isEqualTo(
              "true {\"check\":\"kernels\",\"backend\":\"nd4j\",\"dtype\":\"f32\",\"cases\":%d,\"wrong\":0"
                  .formatted(some.size()));

      Seeded changed = some.getFirst();
      read.answer(DType.F32, changed).results().getFirst().values()[0] += 1;
      assertThat(replay(oracle, read, some))
          .startsWith("false F32 " + changed)
          .contains("element 0 is", "\"wrong\":1");
    }
  }

  private static String replay(Backend backend, KernelRecord record, List<Seeded> cases) {
    var said = new ByteArrayOutputStream();
    var out = new PrintStream(said, true, StandardCharsets.UTF_8);
    boolean right = KernelReplay.replay(backend, record, cases, out);
    return right + " " + said.toString(StandardCharsets.UTF_8).replaceFirst(",\"seconds.*\\s*", "");
  }
}
