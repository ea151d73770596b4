package io.moextend.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.Golden;
import io.moextend.array.DType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.TreeSet;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DeltaCheckpointTest {
  private static final Path BASE = Golden.path("moextend/vision_gate");
  private static final String GATE = "model.layers.0.block_sparse_moe.gate.weight";
  private static final String ADDED = "model.layers.0.block_sparse_moe.gate_vision.weight";

  @TempDir Path parent;
  private Path folder;
  private Fingerprint fingerprint;

  @BeforeEach
  void saveADelta() {
    folder = parent.resolve("delta");
    try (var base = CheckpointFolder.open(BASE)) {
      fingerprint = Fingerprint.of(base);
    }
    save(folder, new long[] {8, 32});
  }

  @Test
  void theDeltaLiesOnTopOfItsBase() {
    try (var base = CheckpointFolder.open(BASE);
        var merged = CheckpointFolder.open(folder, BASE)) {
      var names = new TreeSet<>(base.names());
      names.add(ADDED);
      assertThat(merged.names()).isEqualTo(names);
      assertThat(merged.tensor(GATE).floats()).containsOnly(7);
      assertThat(merged.tensor(ADDED).floats()).hasSize(32).containsOnly(3);
      assertThat(base.tensor(GATE).floats()).doesNotContain(7);
      String untouched = "model.layers.1.block_sparse_moe.gate.weight";
      assertThat(merged.tensor(untouched).bytes().mismatch(base.tensor(untouched).bytes()))
          .isEqualTo(-1);
    }
  }

  @Test
  void aDeltaAloneIsNoModelAndSaysWhatItNeeds() {
    assertThatThrownBy(() -> CheckpointFolder.open(folder).close())
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("is a delta of base " + fingerprint)
        .hasMessageContaining("--base DIR");
  }

  @Test
  void anotherBaseIsRefusedWithBothFingerprints() {
    Path other = Golden.path("moextend/vision_align");
    try (var source = CheckpointFolder.open(other)) {
      Fingerprint found = Fingerprint.of(source);
      assertThatThrownBy(() -> CheckpointFolder.open(folder, other).close())
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining(fingerprint.hex())
          .hasMessageContaining(found.hex());
    }
  }

  @Test
  void aFolderWithoutADeltaIsNoDelta() {
    assertThatThrownBy(() -> CheckpointFolder.open(BASE, BASE).close())
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("holds no delta.json");
  }

  @Test
  void aDeltaDoesNotReshape() {
    Path reshaped = parent.resolve("reshaped");
    save(reshaped, new long[] {32, 8});
    assertThatThrownBy(() -> CheckpointFolder.open(reshaped, BASE).close())
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining(GATE)
        .hasMessageContaining("[32, 8] where the base has [8, 32]");
  }

  @Test
  void listingAndWeightsMustBeOfOneDelta() throws IOException {
    edit("\"" + ADDED + "\"", "\"another.weight\"");
    assertThatThrownBy(() -> CheckpointFolder.open(folder, BASE).close())
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("name different tensors");
  }

  @Test
  void aNewerFormatOrABrokenListingIsRefusedByName() throws IOException {
    edit("\"formatVersion\" : 2", "\"formatVersion\" : 3");
    assertRefused("formatVersion 3 is not known");
    edit("\"formatVersion\" : 3", "\"formatVersion\" : 1");
    assertRefused("write it again with this moextend");
    edit("\"formatVersion\" : 1", "\"formatVersion\" : 2, \"extra\" : 0");
    assertRefused("extra");
    edit("\"formatVersion\" : 2, \"extra\" : 0,", "");
    assertRefused("formatVersion");
    edit("\"base\"", "\"formatVersion\" : 2, \"base\"");
    try (var delta = DeltaCheckpoint.open(folder)) {
      assertThat(delta.base()).isEqualTo(fingerprint);
    }
    edit(fingerprint.hex(), "c0ffee");
    assertRefused("\"c0ffee\" is no fingerprint");
  }

  @Test
  void weightsThatAreALinkOutAreNotOpened() throws IOException {
    Path moved =
        Files.move(folder.resolve("delta.safetensors"), parent.resolve("outside.safetensors"));
    Files.createSymbolicLink(folder.resolve("delta.safetensors"), moved);
    assertRefused("is a link that leaves the folder");
  }

  @Test
  void aFlippedByteIsRefusedWithTheTensorAndTheFileItIsIn() throws IOException {
    Path file = folder.resolve("delta.safetensors");
    byte[] bytes = Files.readAllBytes(file);
    bytes[bytes.length - 1] ^= 4; // the last tensor of the file
    Files.write(file, bytes);
    assertThatThrownBy(() -> CheckpointFolder.open(folder, BASE).tensor(ADDED))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining(file.toString())
        .hasMessageContaining(ADDED)
        .hasMessageContaining("damaged");
  }

  @Test
  void sharesOfSeveralRanksAreOneDelta() throws IOException {
    Path shared = parent.resolve("shared");
    Files.createDirectories(shared);
    List<TensorStream> tensors =
        List.of(filled(GATE, new long[] {8, 32}, 7), filled(ADDED, new long[] {1, 32}, 3));
    for (int rank : new int[] {2, 0, 1}) {
      DeltaCheckpoint.writeShare(shared, rank, 3, tensors);
    }
    DeltaCheckpoint.seal(shared, fingerprint, tensors, 3);
    assertThat(shared.toFile().list())
        .containsExactlyInAnyOrder(
            "delta.json", "delta-00001-of-00002.safetensors", "delta-00002-of-00002.safetensors");
    try (var merged = CheckpointFolder.open(shared, BASE)) {
      assertThat(merged.tensor(GATE).floats()).containsOnly(7);
      assertThat(merged.tensor(ADDED).floats()).hasSize(32).containsOnly(3);
    }
    Files.delete(shared.resolve("delta-00002-of-00002.safetensors"));
    assertThatThrownBy(() -> DeltaCheckpoint.open(shared).close())
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("delta-00002-of-00002.safetensors: is missing");
  }

  private void assertRefused(String problem) {
    assertThatThrownBy(() -> DeltaCheckpoint.open(folder).close())
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining(folder.toString())
        .hasMessageContaining(problem);
  }

  private void edit(String from, String to) throws IOException {
    Path listing = folder.resolve("delta.json");
    String text = Files.readString(listing);
    assertThat(text).contains(from);
    Files.writeString(listing, text.replace(from, to));
  }

  private void save(Path target, long[] gateShape) {
    AtomicFolder.write(
        target,
        path ->
            DeltaCheckpoint.write(
                path,
                fingerprint,
                List.of(filled(GATE, gateShape, 7), filled(ADDED, new long[] {1, 32}, 3))));
  }

  private static TensorStream filled(String name, long[] shape, float value) {
    float[] values = new float[(int) (shape[0] * shape[1])];
    java.util.Arrays.fill(values, value);
    return TensorStream.of(TensorData.of(name, DType.F32, shape, values));
  }
}
