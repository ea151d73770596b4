package io.moextend.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.Golden;
import io.moextend.data.image.ClipPreprocessing;
import io.moextend.data.image.ImageDecoder;
import io.moextend.text.ImageTokens;
import io.moextend.text.ImageTokens.SlotContent;
import io.moextend.text.SegmentPrefix;
import io.moextend.text.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TrainingSetTest {
  private static final Path REAL = Golden.path("moextend/tokenizer/tokenizer.json");

  private static Encoder encoder(
      Tokenizer tokenizer, int start, int slots, SlotContent content, int maxLength, OverLength o) {
    return new Encoder(
        new ImageTokens(tokenizer, start, slots, content), ChatTemplate.INSTRUCT, maxLength, o);
  }

  private static TrainingSet photos(SampleFile file, Encoder encoder, int fixedLength) {
    return TrainingSet.of(
        List.of(file),
        encoder,
        new ImageRoot(Golden.path("real/photos")),
        new ImageDecoder(),
        ClipPreprocessing.clip(336),
        fixedLength,
        count -> {});
  }

  @Test
  void theGoldenTrainingBatchComesOutAsFromTheOriginal() throws IOException {
    GoldenTensors wanted = new GoldenTensors("moextend/vision_align/inputs.safetensors");
    ImageRoot images = new ImageRoot(Golden.path("moextend/data"));
    Path json = Golden.path("moextend/data/train.json");
    try (Tokenizer tokenizer = Tokenizer.open(Golden.path("moextend/tokenizer_tiny"));
        SampleFile file = SampleFile.open(json, KeptTurns.ALL, images)) {
      TrainingSet set =
          TrainingSet.of(
              List.of(file),
              encoder(tokenizer, 440, 36, SlotContent.PATH_BYTES, 112, OverLength.REJECT),
              images,
              new ImageDecoder(),
              ClipPreprocessing.read(Golden.path("moextend/vision_align/preprocessor_config.json")),
              112,
              count -> {});
      Batch batch = set.batch(new int[] {0, 1, 2});
      assertThat(batch.ids()).isEqualTo(wanted.longs("input_ids"));
      assertThat(batch.labels()).isEqualTo(wanted.longs("labels"));
      assertThat(batch.mask()).isEqualTo(wanted.bytes("attention_mask"));
      assertThat(batch.pixels()).isEqualTo(wanted.floats("pixel_values"));
      List<Integer> places = new ArrayList<>();
      for (Batch.Image image : batch.images()) {
        places.addAll(
            List.of(image.row(), image.firstSlot() - 1, image.firstSlot() + image.slots()));
      }
      assertThat(places.stream().mapToInt(i -> i).toArray()).isEqualTo(wanted.longs("img_pos"));
    }
  }

  @ParameterizedTest
  @CsvSource({"1024,LEGACY", "1024,FIRST_ONLY", "2048,FIRST_ONLY"})
  void thePhotographsSamplesBecomeRowsOfTheRealTokenizer(int maxLength, SegmentPrefix prefix) {
    Path json = Golden.path("real/llava_photos.json");
    try (Tokenizer tokenizer = Tokenizer.open(REAL, prefix);
        SampleFile file = SampleFile.open(json, KeptTurns.ALL, null)) {
      Encoder encoder =
          encoder(tokenizer, 32000, 576, SlotContent.PADS, maxLength, OverLength.REJECT);
      TrainingSet set = photos(file, encoder, 0);
      assertThat(set.size()).isEqualTo(16);
      assertThat(set.skipped()).isZero();
      for (int i = 0; i < 16; i++) {
        EncodedSample row = set.encoded(i);
        boolean pictured = i < 14;
        assertThat(row.spans()).hasSize(pictured ? 1 : 0);
        assertThat(row.length()).isBetween(pictured ? 590 : 10, pictured ? 700 : 100);
        assertThat(row.ids()[0]).isEqualTo(1);
        assertThat(row.ids()[row.length() - 1]).isEqualTo(2);
        long answers =
            row.sample().turns().stream()
                .filter(turn -> turn.role() == Sample.Role.ASSISTANT)
                .mapToLong(turn -> encoder.images().encode(turn.parts()).ids().length)
                .sum();
        assertThat(row.lossPositions()).isEqualTo((int) answers + 1);
      }
      Batch batch = set.batch(new int[] {5, 14, 9});
      assertThat(batch.length())
          .isEqualTo(Math.max(set.encoded(5).length(), set.encoded(9).length()));
      assertThat(batch.images()).extracting(Batch.Image::row).containsExactly(0, 2);
      assertThat(batch.pixels()).hasSize(2 * 3 * 336 * 336);
      assertThat(batch.samples().get(1)).endsWith("sample 15 (id t01)");
      for (Batch.Image image : batch.images()) {
        int at = image.row() * batch.length() + image.firstSlot();
        assertThat(batch.ids()[at - 1]).isEqualTo(32000);
        assertThat(batch.ids()[at]).isEqualTo(32002);
        assertThat(batch.ids()[at + 575]).isEqualTo(32002);
        assertThat(batch.ids()[at + 576]).isEqualTo(32001);
      }
      assertThat(batch.lossPositions())
          .isEqualTo(
              set.encoded(5).lossPositions()
                  + set.encoded(14).lossPositions()
                  + set.encoded(9).lossPositions());
    }
  }

  @Test
  void samplesThatAreTooLongAreCountedOrRefusedBeforeTheFirstStep() {
    Path json = Golden.path("real/llava_photos.json");
    try (Tokenizer tokenizer = Tokenizer.open(REAL, SegmentPrefix.FIRST_ONLY);
        SampleFile file = SampleFile.open(json, KeptTurns.ALL, null)) {
      Encoder skipping = encoder(tokenizer, 32000, 576, SlotContent.PADS, 256, OverLength.SKIP);
      TrainingSet texts = photos(file, skipping, 256);
      assertThat(texts.size()).isEqualTo(2);
      assertThat(texts.skipped()).isEqualTo(14);
      Batch batch = texts.batch(new int[] {1});
      assertThat(batch.samples().getFirst()).endsWith("(id t02)");
      assertThat(batch.length()).isEqualTo(256);
      assertThat(batch.pixels()).isEmpty();
      Encoder rejecting = encoder(tokenizer, 32000, 576, SlotContent.PADS, 256, OverLength.REJECT);
      assertThatThrownBy(() -> photos(file, rejecting, 0))
          .isInstanceOf(DataException.class)
          .hasMessageContaining("sample 1 (id p01): it has ")
          .hasMessageContaining("ids and max length is 256")
          .hasMessageEndingWith("(and 13 samples more are wrong)");
      Encoder nothing = encoder(tokenizer, 32000, 576, SlotContent.PADS, 2, OverLength.SKIP);
      assertThatThrownBy(() -> photos(file, nothing, 0))
          .hasMessage("all 16 samples are longer than max length 2; raise it");
    }
  }

  @Test
  void aBrokenImageNamesItsSample(@TempDir Path folder) throws IOException {
    Files.writeString(folder.resolve("x.png"), "GIF89a and so on");
    Path json =
        Files.writeString(
            folder.resolve("d.jsonl"),
            """
            {"id": "bad", "conversations": [{"from": "user", "value": "<image>x.png</image>"}]}
            """);
    ImageRoot images = new ImageRoot(folder);
    AtomicLong told = new AtomicLong();
    try (Tokenizer tokenizer = Tokenizer.open(REAL, SegmentPrefix.FIRST_ONLY);
        SampleFile file = SampleFile.open(json, KeptTurns.ALL, images)) {
      TrainingSet set =
          TrainingSet.of(
              List.of(file),
              encoder(tokenizer, 32000, 4, SlotContent.PADS, 64, OverLength.REJECT),
              images,
              new ImageDecoder(),
              ClipPreprocessing.clip(24),
              0,
              told::set);
      assertThatThrownBy(() -> set.batch(new int[] {0}))
          .isInstanceOf(DataException.class)
          .hasMessage(
              "%s: sample 1 (id bad): %s is neither PNG nor JPEG (it starts with 47 49 46 38 39 61 20 61); convert it, whatever its name says"
                  .formatted(json, folder.resolve("x.png")));
    }
  }
}
