package io.moextend.cli;

import static io.moextend.cli.AdaptRuns.STEPS;
import static io.moextend.cli.AdaptRuns.trained;
import static io.moextend.cli.AdaptRuns.weights;
import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.checkpoint.CheckpointFolder;
import io.moextend.checkpoint.FrozenProof;
import io.moextend.checkpoint.WeightSource;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What stage adapt leaves of a tiny random T5 and prompted tasks. */
class AdaptRunTest extends AdaptRunsTested {
  private static List<String> files(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(f -> f.getFileName().toString()).sorted().toList();
    }
  }

  @ParameterizedTest
  @CsvSource({
    "ia3, adapter_config.json adapter_model.safetensors",
    "lora, adapter_config.json adapter_model.safetensors",
    "mov, adapter.json adapter.safetensors",
    "molora, adapter.json adapter.safetensors"
  })
  void adaptersAreLeftAloneInTheFilesOfTheirMethodAndTheBaseStaysAsItIs(String method, String left)
      throws IOException {
    Path output = trained(config(method));
    assertThat(files(output.resolve("model"))).containsExactly(left.split(" "));
    assertThat(files(output)).contains("config.yaml", "frozen.json", "metrics.jsonl");
    RanksRun.requireSame(
        output.resolve("model"), output.resolve("checkpoint-" + STEPS).resolve("adapter"));
    assertThat(Files.readString(output.resolve("report.html"))).contains("adapt " + method);
    assertThat(ThreadedRuns.losses(output)).hasSize(STEPS);
    try (WeightSource weights = CheckpointFolder.open(runs.base())) {
      FrozenProof proof = FrozenProof.read(output.resolve("frozen.json"));
      assertThat(proof.verify(weights)).isEmpty();
      assertThat(Files.readString(output.resolve("frozen.json")))
          .contains(weights.names().iterator().next());
    }
  }

  @Test
  void fullFinetuningLeavesAWholeModelInWhichEveryWeightMoved() throws IOException {
    Path output = trained(config("full"));
    assertThat(files(output.resolve("model")))
        .contains("config.json", "model.safetensors", "tokenizer.json");
    try (WeightSource before = CheckpointFolder.open(runs.base());
        WeightSource after = CheckpointFolder.open(output.resolve("model"))) {
      assertThat(after.names()).isEqualTo(before.names());
      for (String name : before.names()) {
        assertThat(after.tensor(name).floats()).as(name).isNotEqualTo(before.tensor(name).floats());
      }
    }
  }
}
