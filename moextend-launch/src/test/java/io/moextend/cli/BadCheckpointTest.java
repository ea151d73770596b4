package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.array.DType;
import io.moextend.checkpoint.CheckpointFolder;
import io.moextend.checkpoint.SafetensorsWriter;
import io.moextend.checkpoint.TensorData;
import io.moextend.checkpoint.TensorStream;
import io.moextend.checkpoint.WeightSource;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Weights that cannot be trusted end a run with exit code 2 and one line that names them. */
class BadCheckpointTest {
  private static final String EMBEDDING = "model.embed_tokens.weight";

  @TempDir Path folder;

  private Workspace work;
  private Path weights;

  @BeforeEach
  void makeWorkspace() {
    work = new Workspace(folder).startFrom("vision_align").configured();
    weights = work.base().resolve("model.safetensors");
  }

  private void refused(String... named) {
    refused(work.train("alignment"), named);
  }

  private static void refused(Workspace.Outcome outcome, String... named) {
    assertThat(outcome.err()).startsWith("moextend: ").contains(named).doesNotContain("\tat ");
    assertThat(outcome.err().strip().lines()).hasSize(1);
    assertThat(outcome.code()).isEqualTo(2);
  }

  /** The same file with another header. */
  private void changeHeader(UnaryOperator<String> change) throws IOException {
    ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(weights)).order(ByteOrder.LITTLE_ENDIAN);
    int length = Math.toIntExact(bytes.getLong(0));
    String header = new String(bytes.array(), 8, length, StandardCharsets.UTF_8);
    String changed = change.apply(header);
    assertThat(changed).isNotEqualTo(header);
    byte[] text = changed.getBytes(StandardCharsets.UTF_8);
    ByteBuffer made =
        ByteBuffer.allocate(8 + text.length + bytes.capacity() - 8 - length)
            .order(ByteOrder.LITTLE_ENDIAN);
    made.putLong(text.length)
        .put(text)
        .put(bytes.array(), 8 + length, bytes.capacity() - 8 - length);
    Files.write(weights, made.array());
  }

  /** The same tensors, one after another through a change, in shards of 64 KiB. */
  private void shard() throws IOException {
    Path sharded = work.folder().resolve("sharded");
    Files.createDirectories(sharded);
    try (WeightSource source = CheckpointFolder.open(weights)) {
      List<TensorStream> tensors =
          source.names().stream().map(n -> TensorStream.of(source.tensor(n))).toList();
      SafetensorsWriter.writeModel(sharded, tensors, 64 << 10);
    }
    Files.delete(weights);
    Workspace.copy(sharded, work.base());
  }

  @Test
  void aFileCutShortIsNamedWithTheTensorThatIsNotThere() throws IOException {
    byte[] bytes = Files.readAllBytes(weights);
    Files.write(weights, Arrays.copyOf(bytes, bytes.length - 100));
    refused("model.safetensors", "tensor", "cut off");
  }

  @Test
  void aFileCutInItsHeaderIsNamed() throws IOException {
    Files.write(weights, Arrays.copyOf(Files.readAllBytes(weights), 1000));
    refused("model.safetensors", "cut off");
  }

  @Test
  void anEmptyFileIsNamed() throws IOException {
    Files.write(weights, new byte[0]);
    refused("model.safetensors", "0 bytes");
  }

  @Test
  void tensorsThatOverlapAreNamed() throws IOException {
    changeHeader(
        header -> {
          int at = header.indexOf("\"data_offsets\":[", header.indexOf("\"lm_head.weight\""));
          int from = at + "\"data_offsets\":[".length();
          String offsets = header.substring(from, header.indexOf(']', from));
          long begin = Long.parseLong(offsets.split(",")[0].strip());
          long end = Long.parseLong(offsets.split(",")[1].strip());
          long shift = begin == 0 ? 4 : -4;
          return header.replace(
              "\"data_offsets\":[" + offsets + "]",
              "\"data_offsets\":[" + (begin + shift) + "," + (end + shift) + "]");
        });
    refused("model.safetensors", "tensor", "damaged");
  }

  @Test
  void aTensorOfAnUnknownTypeIsNamed() throws IOException {
    changeHeader(h -> h.replaceFirst("\"dtype\":\"F32\"", "\"dtype\":\"F8_E4M3\""));
    refused("model.safetensors", "tensor", "F8_E4M3");
  }

  @Test
  void aTensorOfWholeNumbersIsNamed() throws IOException {
    changeHeader(
        h -> {
          int at = h.indexOf('"' + EMBEDDING + '"');
          int type = h.indexOf("F32", at);
          return h.substring(0, type) + "I32" + h.substring(type + 3);
        });
    refused(EMBEDDING, "I32", "floating");
  }

  @Test
  void aTensorThatIsMissingIsNamed() throws IOException {
    rewrite(name -> !name.equals(EMBEDDING));
    refused(EMBEDDING);
  }

  @Test
  void aTensorTooManyIsNamed() throws IOException {
    rewrite(name -> true, TensorData.of("model.extra", new long[] {2}, new float[2]));
    refused("model.extra");
  }

  private void rewrite(java.util.function.Predicate<String> keep, TensorData... more)
      throws IOException {
    Path made = work.folder().resolve("made.safetensors");
    try (WeightSource source = CheckpointFolder.open(weights)) {
      var tensors = new ArrayList<TensorStream>();
      source.names().stream()
          .filter(keep)
          .forEach(n -> tensors.add(TensorStream.of(source.tensor(n))));
      Arrays.stream(more).map(TensorStream::of).forEach(tensors::add);
      SafetensorsWriter.writeFile(made, tensors);
    }
    Files.delete(weights);
    Files.move(made, weights);
  }

  @Test
  void aShardThatIsMissingIsNamed() throws IOException {
    shard();
    Path gone = firstShard();
    Files.delete(gone);
    refused("model.safetensors.index.json", String.valueOf(gone.getFileName()));
  }

  private Path firstShard() throws IOException {
    try (var files = Files.list(work.base())) {
      return files
          .filter(f -> String.valueOf(f.getFileName()).matches("model-0+1-of-.*"))
          .findFirst()
          .orElseThrow();
    }
  }

  @Test
  void aShardOutsideTheFolderIsNotOpened() throws IOException {
    shard();
    Path first = firstShard();
    Files.move(first, work.folder().resolve("outside.safetensors"));
    Workspace.change(
        work.base().resolve("model.safetensors.index.json"),
        String.valueOf(first.getFileName()),
        "../outside.safetensors");
    refused("model.safetensors.index.json", "../outside.safetensors");
  }

  @Test
  void aShardThatIsALinkOutOfTheFolderIsNotOpened() throws IOException {
    shard();
    Path first = firstShard();
    Path outside = work.folder().resolve("outside.safetensors");
    Files.move(first, outside);
    Files.createSymbolicLink(first, outside);
    refused(String.valueOf(first.getFileName()), "link");
  }

  @Test
  void anIndexThatIsNoJsonIsNamed() throws IOException {
    shard();
    Workspace.write(work.base().resolve("model.safetensors.index.json"), "{\"weight_map\": 3}");
    refused("model.safetensors.index.json");
  }

  @Test
  void aDeltaWantsItsBase() throws IOException {
    assertThat(work.train("alignment").code()).isZero();
    Path delta = work.output().resolve("checkpoint-2");
    refused(Workspace.moextend("verify", "--model", delta.toString()), "checkpoint-2", "--base");
  }

  @Test
  void aDeltaOnAnotherBaseIsNamed() {
    assertThat(work.train("alignment").code()).isZero();
    Path delta = work.output().resolve("checkpoint-2");
    var other = new Workspace(work.folder().resolve("other")).startFrom("vision_gate");
    refused(
        Workspace.moextend(
            "verify", "--model", delta.toString(), "--base", other.base().toString()),
        "checkpoint-2",
        "base");
  }

  @Test
  void aRunThatGoesOnWantsTheSameBase() {
    assertThat(work.train("alignment").code()).isZero();
    var other = new Workspace(work.folder().resolve("other")).startFrom("vision_gate");
    refused(
        work.train(
            "alignment",
            "checkpoints.resume_from_checkpoint=auto",
            "training.max_steps=3",
            "model.base=" + other.base()),
        "base",
        "checkpoint-2");
  }

  @Test
  void aRunThatGoesOnWantsTheSameStage() {
    assertThat(work.train("alignment").code()).isZero();
    refused(
        work.train("extension", "checkpoints.resume_from_checkpoint=auto"), "stage", "alignment");
  }

  @Test
  void aRefusedRunLeavesTheEarlierRunsFilesAlone() {
    assertThat(work.train("alignment").code()).isZero();
    String config = Workspace.read(work.output().resolve("config.yaml"));
    String frozen = Workspace.read(work.output().resolve("frozen.json"));
    refused(work.train("extension", "training.seed=7"), "resume_from_checkpoint", "checkpoint-2");
    assertThat(Workspace.read(work.output().resolve("config.yaml"))).isEqualTo(config);
    assertThat(Workspace.read(work.output().resolve("frozen.json"))).isEqualTo(frozen);
  }

  @Test
  void anOptimizerFileCutShortIsNamed() throws IOException {
    assertThat(work.train("alignment").code()).isZero();
    Path file = work.output().resolve("checkpoint-2/optimizer-00001-of-00001.safetensors");
    byte[] bytes = Files.readAllBytes(file);
    Files.write(file, Arrays.copyOf(bytes, bytes.length - 8));
    refused(
        work.train("alignment", "checkpoints.resume_from_checkpoint=auto", "training.max_steps=3"),
        "optimizer-00001-of-00001.safetensors",
        "cut off");
  }

  @Test
  void aFlippedByteOfTheOptimizersStateIsNamed() throws IOException {
    assertThat(work.train("alignment").code()).isZero();
    flip(work.output().resolve("checkpoint-2/optimizer-00001-of-00001.safetensors"));
    refused(
        work.train("alignment", "checkpoints.resume_from_checkpoint=auto", "training.max_steps=3"),
        "optimizer-00001-of-00001.safetensors",
        "tensor master.model.",
        "damaged");
  }

  @Test
  void aFlippedByteOfADeltaIsNamed() throws IOException {
    assertThat(work.train("alignment").code()).isZero();
    Path delta = work.output().resolve("checkpoint-2");
    flip(delta.resolve("delta.safetensors"));
    refused(
        Workspace.moextend("verify", "--model", delta.toString(), "--base", work.base().toString()),
        "delta.safetensors",
        "tensor model.",
        "damaged");
  }

  /** One bit of the last byte but some: of a tensor, not of the header. */
  private static void flip(Path file) throws IOException {
    byte[] bytes = Files.readAllBytes(file);
    bytes[bytes.length - 9] ^= 1;
    Files.write(file, bytes);
  }

  @Test
  void typesOfAWholeModelAreKept() throws IOException {
    assertThat(work.train("alignment").code()).isZero();
    try (WeightSource made = CheckpointFolder.open(work.output().resolve("model"))) {
      assertThat(made.names())
          .allSatisfy(n -> assertThat(made.tensor(n).dtype()).isEqualTo(DType.F32));
    }
  }
}
