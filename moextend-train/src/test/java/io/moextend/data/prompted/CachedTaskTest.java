package io.moextend.data.prompted;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.Golden;
import io.moextend.data.DataException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The caches are made by scripts/golden/prompted.py, which has its own checksum and encoder. */
class CachedTaskTest {
  private static final String SHARD = "train.tfrecord-00000-of-00001";

  @TempDir Path folder;

  private static Path golden(String task) {
    return Golden.path("prompted/cache/" + task);
  }

  private Path copy(String task) throws IOException {
    Path to = folder.resolve(task);
    Files.createDirectory(to);
    try (var files = Files.list(golden(task))) {
      for (Path file : files.toList()) {
        Files.copy(file, to.resolve(file.getFileName()));
      }
    }
    return to;
  }

  private static byte[] shard() throws IOException {
    return Files.readAllBytes(golden("tiny_copy_second").resolve(SHARD));
  }

  private PromptedExample readAll(byte[] bytes) throws IOException {
    Path file = Files.write(folder.resolve("some.tfrecord"), bytes);
    try (Examples examples = RecordExamples.open(file, ExampleFields.SEQIO)) {
      PromptedExample last = PromptedExample.of("", "", "");
      for (int i = 0; i < examples.size(); i++) {
        last = examples.read(i);
      }
      return last;
    }
  }

  @Test
  void shardsFollowEachOtherAndAnyExampleIsFound() {
    try (Examples examples =
        CachedTask.open(golden("tiny_copy_first"), "train", ExampleFields.SEQIO)) {
      assertThat(examples.size()).isEqualTo(37);
      for (int at : new int[] {36, 0, 17, 18, 19, 16, 35}) {
        int number = at < 19 ? 2 * at : 2 * (at - 19) + 1;
        PromptedExample example = examples.read(at);
        assertThat(example.inputs().ids()).containsExactly(10 + number, 20, 30 + number);
        assertThat(example.targets().ids()).containsExactly(40 + number, 1);
        assertThat(example.targets().text()).isEqualTo(" answer " + number + " ");
      }
    }
  }

  @Test
  void numbersMayStandOneByOne() throws IOException {
    assertThat(readAll(shard()).inputs().ids()).containsExactly(14, 20, 34);
  }

  @Test
  void rowsOfARankedTaskSayWhichChoiceTheyAre() {
    try (Examples examples =
        CachedTask.open(golden("tiny_pick_score_eval"), "validation", ExampleFields.SEQIO)) {
      assertThat(examples.read(3).ranked()).isEqualTo(new PromptedExample.Ranked(1, 1, true, 1.0));
    }
  }

  @Test
  void everyBitThatTurnsIsNoticed() throws IOException {
    byte[] whole = shard();
    for (int at = 0; at < whole.length; at++) {
      byte[] changed = whole.clone();
      changed[at] ^= (byte) (1 << at % 8);
      assertThatThrownBy(() -> readAll(changed))
          .as("byte %d", at)
          .isInstanceOf(DataException.class)
          .hasMessageContaining("some.tfrecord: example ");
    }
  }

  @Test
  void aFileThatEndsInsideOfARecordIsNamed() throws IOException {
    byte[] whole = shard();
    int first = 16 + (int) ByteBuffer.wrap(whole).order(ByteOrder.LITTLE_ENDIAN).getLong(0);
    for (int length = 1; length < first; length++) {
      byte[] cut = Arrays.copyOf(whole, length);
      assertThatThrownBy(() -> readAll(cut))
          .isInstanceOf(DataException.class)
          .hasMessageContaining("some.tfrecord: example 1: the file ends inside of it");
    }
  }

  @Test
  void aLengthThatClaimsTooMuchIsRefusedBeforeMemoryIsAsked() {
    for (long length : new long[] {-1, Long.MAX_VALUE, 1L << 40, 65L << 20}) {
      ByteBuffer head = ByteBuffer.allocate(64).order(ByteOrder.LITTLE_ENDIAN).putLong(0, length);
      head.putInt(8, masked(head.array(), 0, 8));
      assertThatThrownBy(() -> readAll(head.array()))
          .isInstanceOf(DataException.class)
          .hasMessageContaining("it claims " + Long.toUnsignedString(length) + " bytes");
    }
  }

  @Test
  void hostileMessagesBehindRightChecksumsAreRefusedOrRead() throws IOException {
    byte[] whole = shard();
    int length = (int) ByteBuffer.wrap(whole).order(ByteOrder.LITTLE_ENDIAN).getLong(0);
    long seed = 7;
    var random = new Random(seed);
    for (int round = 0; round < 300; round++) {
      byte[] hostile = Arrays.copyOf(whole, length + 16);
      for (int i = 0; i < 1 + random.nextInt(3); i++) {
        hostile[12 + random.nextInt(length)] = (byte) random.nextInt();
      }
      ByteBuffer.wrap(hostile)
          .order(ByteOrder.LITTLE_ENDIAN)
          .putInt(length + 12, masked(hostile, 12, length));
      try {
        assertThat(readAll(hostile).inputs()).isNotNull();
      } catch (DataException e) {
        assertThat(e).as("seed %d", seed).hasMessageContaining("some.tfrecord: example 1: ");
      }
    }
  }

  @Test
  void aMissingShardAndAWrongCountAreNamed() throws IOException {
    Path task = copy("tiny_copy_first");
    Files.writeString(task.resolve("stats.train.json"), "{\"examples\": 38}");
    try (Examples examples = CachedTask.open(task, "train", ExampleFields.SEQIO)) {
      assertThatThrownBy(() -> examples.read(0))
          .hasMessage(
              task
                  + ": stats.train.json says 38 examples, its shards have 37; copy the folder anew");
    }
    Files.delete(task.resolve("train.tfrecord-00000-of-00002"));
    assertThatThrownBy(() -> CachedTask.open(task, "train", ExampleFields.SEQIO).close())
        .hasMessage(
            task.resolve("train.tfrecord-00000-of-00002") + " is missing; copy the folder anew");
    assertThatThrownBy(() -> CachedTask.open(task, "test", ExampleFields.SEQIO).close())
        .hasMessageContaining("has no test.tfrecord-00000-of-NNNNN");
  }

  @Test
  void withoutStatsExamplesAreCounted() throws IOException {
    Path task = copy("tiny_copy_second");
    Files.delete(task.resolve("stats.train.json"));
    Files.delete(task.resolve("info.train.json"));
    try (Examples examples = CachedTask.open(task, "train", ExampleFields.SEQIO)) {
      assertThat(examples.size()).isEqualTo(5);
    }
  }

  private static int masked(byte[] bytes, int from, int length) {
    var crc = new CRC32C();
    crc.update(bytes, from, length);
    return Integer.rotateRight((int) crc.getValue(), 15) + 0xa282ead8;
  }
}
