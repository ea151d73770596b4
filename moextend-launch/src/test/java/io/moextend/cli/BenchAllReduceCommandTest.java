package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class BenchAllReduceCommandTest {
  @TempDir Path folder;

  @Test
  void ofWhatRanksPrintTheResultAloneReachesTheCommandsOutput() throws Exception {
    Path logs = folder.resolve("logs");
    String line = "bench allreduce --bytes 4096 --repetitions 3 --nproc-per-node 2 --log-dir";
    Object[] words = (line + " " + logs).split(" ", -1);
    Ran ran = Ran.moextend(words);
    assertThat(ran.code()).as(ran.err()).isZero();
    assertThat(ran.out().lines()).hasSize(1);
    JsonNode result = new JsonMapper().readTree(ran.out());
    assertThat(result.get("nproc").intValue()).isEqualTo(2);
    assertThat(result.get("ms_all")).hasSize(3);
    assertThat(Files.readString(logs.resolve("generation-0/rank-0.log"))).endsWith(ran.out());
  }

  @Test
  void oneRankHasNothingToSum() {
    Ran ran = Ran.moextend("bench", "allreduce", "--bytes", "4096");
    assertThat(ran.code()).isEqualTo(2);
    assertThat(ran.err()).contains("one rank has nothing to sum");
    assertThat(ran.out()).isEmpty();
  }
}
