package io.moextend.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.array.DType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PieceSetTest {
  private static final int LENGTH = 23;

  @TempDir Path folder;

  /** Elements from, from + 1, ... of an array that holds its own indexes plus a start. */
  private static TensorStream piece(String array, int start, int from, int to) {
    float[] values = new float[to - from];
    for (int i = 0; i < values.length; i++) {
      values[i] = start + from + i;
    }
    return TensorStream.of(
        TensorData.of(new Piece(array, from, to, LENGTH).tensor(), new long[] {to - from}, values));
  }

  /** Array a from 0 on, array b from 100 on, each cut evenly among ranks. */
  private void write(int world) {
    for (int rank = 0; rank < world; rank++) {
      int from = rank * LENGTH / world;
      int to = (rank + 1) * LENGTH / world;
      var tensors = new ArrayList<>(List.of(piece("a", 0, from, to), piece("b", 100, from, to)));
      if (rank == 0) {
        tensors.add(TensorStream.of(TensorData.of("step", new long[] {2}, new long[] {4, 5})));
      }
      PieceFiles.write(folder, "optimizer", rank, world, tensors);
    }
    PieceFiles.seal(folder, "optimizer", world);
  }

  private static float[] read(PieceSet set, String array, int from, int to) {
    float[] into = new float[to - from];
    Arrays.fill(into, Float.NaN);
    set.read(
        new Piece(array, from, to, LENGTH),
        DType.F32,
        (at, part) -> {
          float[] values = part.floats();
          System.arraycopy(values, 0, into, Math.toIntExact(at), values.length);
        });
    return into;
  }

  @ParameterizedTest
  @CsvSource({"1", "2", "3", "4", "23"})
  void everyRangeIsStitchedFromWhateverFilesHoldIt(int world) {
    write(world);
    try (PieceSet set = PieceSet.open(folder, "optimizer")) {
      for (int from = 0; from < LENGTH; from++) {
        for (int to = from + 1; to <= LENGTH; to++) {
          float[] got = read(set, "b", from, to);
          for (int i = 0; i < got.length; i++) {
            assertThat(got[i]).isEqualTo(100 + from + i);
          }
        }
      }
      assertThat(set.whole("step").longs()).containsExactly(4, 5);
      for (int rank = 0; rank < 3; rank++) {
        set.verify(rank, 3);
      }
    }
  }

  private void refused(String... named) {
    assertThatThrownBy(
            () -> {
              try (PieceSet set = PieceSet.open(folder, "optimizer")) {
                set.verify(0, 1);
              }
            })
        .isInstanceOf(CheckpointException.class)
        .satisfies(e -> assertThat(e.getMessage()).contains(named));
  }

  @ParameterizedTest
  @CsvSource({"1", "2", "20", "40"})
  void aFlippedByteIsRefusedWithItsTensorAndFile(int fromTheEnd) throws IOException {
    write(2);
    Path file = folder.resolve("optimizer-00002-of-00002.safetensors");
    byte[] bytes = Files.readAllBytes(file);
    bytes[bytes.length - fromTheEnd] ^= 1;
    Files.write(file, bytes);
    refused(file.toString(), "b[11:23 of 23]", "CRC-32C", "damaged");
  }

  @Test
  void aMissingFileIsNamed() throws IOException {
    write(3);
    Files.delete(folder.resolve("optimizer-00002-of-00003.safetensors"));
    refused("optimizer-00002-of-00003.safetensors: is missing");
  }

  @Test
  void aFileOfAnotherSetIsNamed() throws IOException {
    write(3);
    Files.writeString(folder.resolve("optimizer-00004-of-00004.safetensors"), "");
    refused("optimizer-00004-of-00004.safetensors: is not one of");
  }

  @Test
  void aFileOfAnotherCheckpointUnderTheRightNameIsNamed() throws IOException {
    write(2);
    for (String end : List.of(".safetensors", ".json")) {
      Files.delete(folder.resolve("optimizer-00002-of-00002" + end));
    }
    PieceFiles.write(folder, "optimizer", 1, 2, List.of(piece("a", 7, 11, 23)));
    refused("optimizer-00002-of-00002.json", "of another checkpoint");
    Files.delete(folder.resolve("optimizer.json"));
    PieceFiles.seal(folder, "optimizer", 2);
    refused("tensor b", "element 11 of 23 is in no file");
  }

  @Test
  void piecesThatOverlapAreNamed() {
    PieceFiles.write(folder, "optimizer", 0, 2, List.of(piece("a", 0, 0, 12)));
    PieceFiles.write(folder, "optimizer", 1, 2, List.of(piece("a", 0, 11, 23)));
    PieceFiles.seal(folder, "optimizer", 2);
    refused("optimizer-00002-of-00002.safetensors", "a[11:23 of 23]", "does not fit");
  }

  @Test
  void ranksThatHoldTheSameMayAllWriteItButNotTwoStates() throws IOException {
    for (int rank = 0; rank < 2; rank++) {
      PieceFiles.write(folder, "optimizer", rank, 2, List.of(piece("a", 0, 0, LENGTH)));
    }
    PieceFiles.seal(folder, "optimizer", 2);
    try (PieceSet set = PieceSet.open(folder, "optimizer")) {
      assertThat(read(set, "a", 3, 5)).containsExactly(3, 4);
    }
    Files.delete(folder.resolve("optimizer-00002-of-00002.safetensors"));
    PieceFiles.write(folder, "optimizer", 1, 2, List.of(piece("a", 1, 0, LENGTH)));
    PieceFiles.seal(folder, "optimizer", 2);
    refused("a[0:23 of 23]", "differs");
  }

  @Test
  void anArrayOfAnotherSizeOrTypeIsRefused() {
    write(2);
    try (PieceSet set = PieceSet.open(folder, "optimizer")) {
      assertThatThrownBy(() -> set.read(new Piece("a", 0, 4, 24), DType.F32, (at, part) -> {}))
          .hasMessageContaining("is F32[23], this run wants F32[24]");
      assertThatThrownBy(() -> set.read(new Piece("a", 0, 4, LENGTH), DType.F64, (at, part) -> {}))
          .hasMessageContaining("this run wants F64[23]");
      assertThatThrownBy(() -> set.read(new Piece("c", 0, 4, LENGTH), DType.F32, (at, part) -> {}))
          .hasMessageContaining("tensor c: is not in this checkpoint");
    }
  }

  @Test
  void aRankWithoutPiecesWritesAnEmptyFile() {
    PieceFiles.write(folder, "optimizer", 0, 2, List.of(piece("a", 0, 0, LENGTH)));
    PieceFiles.write(folder, "optimizer", 1, 2, List.of());
    PieceFiles.seal(folder, "optimizer", 2);
    try (PieceSet set = PieceSet.open(folder, "optimizer")) {
      set.verify(1, 2);
      assertThat(set.arrays()).containsExactly("a");
    }
  }

  @Test
  void sharesOfWorkAreEvenAndTogetherEverything() {
    List<Long> sizes = List.of(7L, 1L, 9L, 3L, 3L, 5L, 0L);
    List<List<Long>> shares = EvenShares.of(sizes, Long::longValue, 3);
    assertThat(shares.stream().flatMap(List::stream)).containsExactlyInAnyOrderElementsOf(sizes);
    assertThat(shares)
        .allSatisfy(
            s -> assertThat(s.stream().mapToLong(Long::longValue).sum()).isBetween(8L, 11L));
  }
}
