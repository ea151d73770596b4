package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.checkpoint.CheckpointFolder;
import io.moextend.checkpoint.FrozenProof;
import io.moextend.checkpoint.WeightSource;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Predicate;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What a stage leaves on disk: its own tensors moved, every other one is the base's. */
class StageFilesTest {
  /** A stage, the model it starts from, and the tensors it is to move. */
  enum Case {
    ALIGNMENT("alignment", "vision_align", name -> name.contains(".mm_projector.")),
    EXTENSION("extension", "vision_gate", name -> name.endsWith(".block_sparse_moe.gate.weight")),
    FINETUNE(
        "finetune",
        "moextend_ft_rand",
        name ->
            name.contains(".mm_projector.")
                || name.contains(".experts.8.")
                || name.contains(".gate_vision.")
                || name.contains(".weight_scale."));

    final String stage;
    final String golden;
    final Predicate<String> trains;

    Case(String stage, String golden, Predicate<String> trains) {
      this.stage = stage;
      this.golden = golden;
      this.trains = trains;
    }
  }

  @TempDir Path folder;

  private Workspace trained(Case c) {
    Workspace work = new Workspace(folder).startFrom(c.golden).configured();
    Workspace.Outcome outcome =
        work.train(c.stage, "training.max_steps=4", "training.gradient_accumulation_steps=2");
    assertThat(outcome.err()).isEmpty();
    assertThat(outcome.code()).isZero();
    return work;
  }

  @ParameterizedTest
  @EnumSource
  void exactlyTheStagesTensorsMove(Case c) {
    Workspace work = trained(c);
    try (WeightSource before = CheckpointFolder.open(work.base());
        WeightSource after = CheckpointFolder.open(work.output().resolve("model"))) {
      assertThat(after.names()).isEqualTo(before.names());
      Set<String> moved = new TreeSet<>();
      for (String name : before.names()) {
        assertThat(after.tensor(name).shape()).isEqualTo(before.tensor(name).shape());
        assertThat(after.tensor(name).dtype()).isEqualTo(before.tensor(name).dtype());
        if (before.tensor(name).bytes().mismatch(after.tensor(name).bytes()) >= 0) {
          moved.add(name);
        }
      }
      Set<String> wanted = new TreeSet<>(before.names());
      wanted.removeIf(c.trains.negate());
      assertThat(moved).isEqualTo(wanted).isNotEmpty();
      FrozenProof proof = FrozenProof.read(work.output().resolve("frozen.json"));
      Set<String> frozen = new TreeSet<>(before.names());
      frozen.removeAll(wanted);
      assertThat(proof.tensors().keySet()).isEqualTo(frozen);
      assertThat(proof.verify(after)).isEmpty();
    }
  }

  @ParameterizedTest
  @EnumSource
  void verifyNamesTheOneTensorOfWhichOneBitMoved(Case c) throws IOException {
    Workspace work = trained(c);
    Path model = work.output().resolve("model");
    assertThat(Workspace.moextend("verify", "--model", model.toString()).code()).isZero();
    String name = "model.layers.1.self_attn.q_proj.weight";
    flipOneBit(model.resolve("model.safetensors"), name);
    Workspace.Outcome outcome = Workspace.moextend("verify", "--model", model.toString());
    assertThat(outcome.code()).isEqualTo(3);
    assertThat(outcome.out().lines().filter(l -> l.startsWith("moved: ")))
        .singleElement()
        .asString()
        .contains(name);
  }

  @Test
  void verifyTakesADeltaWithItsBase() {
    Workspace work = trained(Case.ALIGNMENT);
    Path delta = work.output().resolve("checkpoint-4");
    Workspace.Outcome outcome =
        Workspace.moextend(
            "verify",
            "--model",
            delta.toString(),
            "--base",
            work.base().toString(),
            "--proof",
            work.output().resolve("frozen.json").toString());
    assertThat(outcome.code()).isZero();
  }

  @Test
  void aTokenizerNamedApartGoesIntoTheModelInPlaceOfTheBases() throws IOException {
    Workspace work = new Workspace(folder).startFrom("vision_align").configured();
    Path apart = folder.resolve("apart");
    Workspace.copy(work.base(), apart);
    for (String file :
        new String[] {"config.json", "model.safetensors", "preprocessor_config.json"}) {
      Files.delete(apart.resolve(file));
    }
    Workspace.change(
        apart.resolve("tokenizer_config.json"), "\"legacy\": false", "\"legacy\":  false");
    assertThat(work.train("alignment", "model.tokenizer=" + apart).err()).isEmpty();
    assertThat(work.output().resolve("model/tokenizer_config.json"))
        .hasSameBinaryContentAs(apart.resolve("tokenizer_config.json"));
  }

  /** In the middle of a tensor's bytes. */
  private static void flipOneBit(Path file, String tensor) throws IOException {
    byte[] bytes = Files.readAllBytes(file);
    long header = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getLong(0);
    String json = new String(bytes, 8, Math.toIntExact(header), StandardCharsets.UTF_8);
    int at = json.indexOf("\"data_offsets\":[", json.indexOf('"' + tensor + '"'));
    String[] range =
        json.substring(at + "\"data_offsets\":[".length(), json.indexOf(']', at)).split(",");
    long middle = (Long.parseLong(range[0]) + Long.parseLong(range[1])) / 2;
    bytes[Math.toIntExact(8 + header + middle)] ^= 1;
    Files.write(file, bytes);
  }
}
