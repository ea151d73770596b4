package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.moextend.checkpoint.CheckpointFolder;
import io.moextend.checkpoint.WeightSource;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** bench step on MoIIE and its rivals. */
class BenchModelsTest {
  private static final String SMALL = "bench step --stage sft --threads 2 --steps 2 --warm-up 1 ";

  @TempDir Path folder;

  private static Ran bench(String more) {
    String size = more.contains("--size") ? "" : "--size 64,96,2,4,200,2,320 ";
    Object[] words = (SMALL + size + more).split(" ", -1);
    return Ran.moextend(words);
  }

  /** 64·200 of the embedding and of the head, the projector, two layers, the last norm. */
  @ParameterizedTest
  @CsvSource({
    "dense, f32, 0",
    "moiie, f32, 55680",
    "moiie, bf16, 55680",
    "vanilla-moe, f32, 55552",
    "modality-moe, f32, 18432"
  })
  void everythingButTheTowerTrains(String architecture, String dtype, long more) throws Exception {
    Ran ran = bench("--architecture %s --dtype %s".formatted(architecture, dtype));
    assertThat(ran.code()).as(ran.err()).isZero();
    JsonNode line = new JsonMapper().readTree(ran.out());
    assertThat(line.get("architecture").textValue()).isEqualTo(architecture);
    long projector = 1024 * 64 + 64 + 64 * 64 + 64;
    long layer = 4 * 64 * 64 + 3 * 64 * 96 + 2 * 64;
    assertThat(line.get("trainable").longValue())
        .isEqualTo(2 * 64 * 200 + projector + 2 * layer + 64 + more);
    assertThat(line.get("loss").get(2).doubleValue())
        .isLessThan(line.get("loss").get(0).doubleValue());
  }

  @Test
  void weightsAndBatchAreWrittenForWhoWantsToDoTheSameStep() {
    Path file = folder.resolve("start.safetensors");
    Ran ran = bench("--architecture moiie --write " + file);
    assertThat(ran.code()).as(ran.err()).isZero();
    Ran again = bench("--architecture moiie --write " + file);
    assertThat(again.code()).isEqualTo(2);
    assertThat(again.err()).contains("--write=" + file, "is there already");
    try (WeightSource written = CheckpointFolder.open(file)) {
      assertThat(written.names())
          .contains("model.layers.1.mlp.gate_vis.weight", "model.mm_projector.2.bias")
          .noneMatch(name -> name.contains("vision_tower"));
      assertThat(written.tensor("batch.ids").shape()).containsExactly(2, 320);
      assertThat(written.tensor("batch.features").shape()).containsExactly(288, 1024);
      long[] labels = written.tensor("batch.labels").longs();
      assertThat(labels[0]).isEqualTo(-100);
      assertThat(labels[160]).isEqualTo(written.tensor("batch.ids").longs()[160]);
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "--architecture routed | --architecture=routed: | moiie",
        "--architecture moiie --routing balanced | --routing=balanced | mixtral",
        "--architecture moiie --size 64,96,2,6,200,2,320 | num_experts=6 | multiple of 4",
        "--architecture moiie --size 64,96,1,4,200,2,320 | moe_layers | at least one layer",
        "--architecture dense --size 64,96,2,4,200,2,295 | sequence=295 | at least 296"
      })
  void whatCannotBeTimedIsRefused(String options, String named, String mend) {
    Ran ran = bench(options);
    assertThat(ran.code()).as(ran.err()).isEqualTo(2);
    assertThat(ran.err()).contains(named, mend);
  }
}
