package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.moextend.checkpoint.CheckpointFolder;
import io.moextend.checkpoint.TensorData;
import io.moextend.checkpoint.WeightSource;
import io.moextend.text.Tokenizer;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A loss that is no number ends all ranks in its step, whichever of them has it. */
@Timeout(200)
class DivergedRanksTest {
  private static final String EMBEDDING = "model.embed_tokens.weight";

  @TempDir Path folder;

  private Workspace work;

  @BeforeEach
  void makeWorkspace() {
    work = new Workspace(folder).startFrom("moextend_ft_rand").configured();
  }

  /** Runs it; it ends with 2, without another try, and every rank says the same and why. */
  private List<JsonNode> diverged(int step, String... settings) throws Exception {
    var all =
        new ArrayList<>(
            List.of(
                "training.per_device_train_batch_size=1",
                "training.max_steps=6",
                "checkpoints.save_steps=1"));
    all.addAll(List.of(settings));
    List<String> options = List.of("--nproc-per-node", "2", "--max-restarts", "2");
    try (RanksRun run = RanksRun.start(work, work.output(), options, all)) {
      assertThat(run.code()).as(run::said).isEqualTo(2);
      assertThat(run.said())
          .contains("[rank 0] moextend: step " + step, "[rank 1] moextend: step " + step)
          .contains("no weight was changed in this step")
          .doesNotContain("start again", "broken off");
    }
    var evidence = new ArrayList<JsonNode>();
    for (int rank = 0; rank < 2; rank++) {
      Path file = work.output().resolve("diverged-step-%d-rank-%d.json".formatted(step, rank));
      evidence.add(new JsonMapper().readTree(file.toFile()));
    }
    assertThat(work.output().resolve("checkpoint-" + step)).doesNotExist();
    assertThat(work.output().resolve("model")).doesNotExist();
    return evidence;
  }

  @Test
  void aRateThatIsFarTooHighEndsAllRanksInTheStepAfterItCounts() throws Exception {
    List<JsonNode> evidence = diverged(3, "optimizer.learning_rate=1e30");
    assertThat(evidence.get(0).get("ranks")).isEqualTo(evidence.get(1).get("ranks"));
    assertThat(Files.readAllLines(work.output().resolve("metrics.jsonl"))).hasSize(2);
    assertThat(work.output().resolve("checkpoint-2")).exists();
  }

  @Test
  void aSampleThatGivesNoNumberOnOneRankEndsBothAndTheRankIsNamed() throws Exception {
    spoilTheWord("hat", List.of("the text only one", "yes and no", "the end", "and here?"));
    List<JsonNode> evidence = diverged(1, "training.gradient_accumulation_steps=2");
    JsonNode ranks = evidence.get(0).get("ranks");
    assertThat(ranks).hasSize(1);
    int rank = ranks.get(0).intValue();
    assertThat(evidence.get(1).get("ranks")).isEqualTo(ranks);
    assertThat(evidence.get(rank).get("microBatches").toString()).contains("NaN");
    assertThat(evidence.get(1 - rank).get("microBatches").toString()).doesNotContain("NaN");
    assertThat(work.output().resolve("LATEST")).doesNotExist();
  }

  /** The first piece of a word that is in no piece of the other texts gets no number. */
  private void spoilTheWord(String word, List<String> others) throws IOException {
    int spoilt;
    try (Tokenizer tokenizer = Tokenizer.open(work.base())) {
      var used = new ArrayList<Integer>();
      for (String text : others) {
        for (int id : tokenizer.encode(text)) {
          used.add(id);
        }
      }
      var own = new ArrayList<Integer>();
      for (int id : tokenizer.encode("a red tin on the " + word)) {
        own.add(id);
      }
      own.removeAll(used);
      assertThat(own).isNotEmpty();
      spoilt = own.getLast();
    }
    long width;
    try (WeightSource source = CheckpointFolder.open(work.base())) {
      TensorData table = source.tensor(EMBEDDING);
      width = table.shape()[1];
    }
    Path weights = work.base().resolve("model.safetensors");
    ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(weights)).order(ByteOrder.LITTLE_ENDIAN);
    int header = Math.toIntExact(bytes.getLong(0));
    JsonNode tensor =
        new JsonMapper()
            .readTree(new String(bytes.array(), 8, header, StandardCharsets.UTF_8))
            .get(EMBEDDING);
    assertThat(tensor.get("dtype").asText()).isEqualTo("F32");
    int at = 8 + header + tensor.get("data_offsets").get(0).intValue();
    bytes.putFloat(Math.toIntExact(at + spoilt * width * Float.BYTES), Float.NaN);
    Files.write(weights, bytes.array());
  }
}
