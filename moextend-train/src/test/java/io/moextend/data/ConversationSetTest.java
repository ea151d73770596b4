package io.moextend.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.Golden;
import io.moextend.data.SampleOrder.Arrangement;
import io.moextend.data.image.ClipPreprocessing;
import io.moextend.data.image.ImageDecoder;
import io.moextend.moe.Modalities;
import io.moextend.text.ImagePlaces;
import io.moextend.text.SegmentPrefix;
import io.moextend.text.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The golden conversations as a dataset, with their images. */
class ConversationSetTest {
  private static final Path TRAIN = Golden.path("moiie/preprocessing/train.json");
  private static final Path IMAGES = Golden.path("moiie/preprocessing/images");

  @TempDir Path folder;

  /** What a test does with the samples of a file. */
  private interface Use {
    void of(TrainingSet set);
  }

  private static void with(Path json, int patches, int maxLength, OverLength over, Use use) {
    try (Tokenizer tokenizer =
            Tokenizer.open(Golden.path("moiie/tokenizers/tok_phi3"), SegmentPrefix.AS_FILE);
        SampleFile file =
            SampleFile.open(json, KeptTurns.ALL_BEHIND_AN_ANSWER, new ImageRoot(IMAGES))) {
      use.of(
          TrainingSet.of(
              List.of(file),
              new ConversationEncoder(
                  new ImagePlaces(tokenizer, patches), ConversationTemplate.PHI3, maxLength, over),
              new ImageRoot(IMAGES),
              new ImageDecoder(),
              ClipPreprocessing.clip(28),
              0,
              _ -> {}));
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 4, 16, 729})
  void anImageHasAsManyPatchesAsTheModelMakes(int patches) {
    with(
        TRAIN,
        patches,
        2048,
        OverLength.REJECT,
        set -> {
          Batch batch = set.batch(new int[] {0, 2, 1, 3});
          // sample 1 is the longest of words and image, 174 ids with its image as one
          assertThat(batch.length()).isEqualTo(173 + patches);
          assertThat(batch.images()).extracting(Batch.Image::row).containsExactly(0, 2, 3);
          assertThat(batch.images()).allMatch(image -> image.slots() == patches);
          assertThat(batch.pixels()).hasSize(3 * 3 * 28 * 28);
          int[] positions = batch.imagePositions();
          assertThat(positions).hasSize(3 * patches);
          byte[] types = GoldenTalk.types(batch);
          int[] vision = Modalities.kinds(types, batch.length());
          int seen = 0;
          int routed = 0;
          for (int t = 0; t < types.length; t++) {
            seen += types[t];
            routed += vision[t];
          }
          assertThat(List.of(seen, routed)).containsExactly(3 * patches, 3 * (patches - 1));
          for (int position : positions) {
            assertThat(types[position]).isOne();
            assertThat(batch.mask()[position]).isOne();
            assertThat(batch.labels()[position]).isEqualTo(EncodedSample.IGNORED);
          }
        });
  }

  @Test
  void aSampleWhoseRoundsDoNotAddUpIsCountedAndNamed() {
    with(
        TRAIN,
        16,
        256,
        OverLength.REJECT,
        set -> {
          assertThat(set.size()).isEqualTo(5);
          assertThat(set.doubtful()).isOne();
          assertThat(set.firstDoubt())
              .contains(
                  TRAIN
                      + ": sample 5 (id 4): its rounds make 0 ids and its row has 130, so nothing"
                      + " of it is learnt; does an answer hold ASSISTANT: or <|endoftext|>?");
          assertThat(set.batch(new int[] {4}).lossPositions()).isZero();
        });
  }

  @Test
  void aDoubtGoesWithItsSampleWhereTheSetIsSplit() {
    with(
        TRAIN,
        16,
        256,
        OverLength.REJECT,
        set -> {
          List<Integer> doubts = new ArrayList<>();
          for (int seed = 0; seed < 20; seed++) {
            TrainingSet.Split split = set.split(0.4, seed);
            TrainingSet kept = split.evaluation();
            assertThat(kept).isNotNull();
            assertThat(split.training().doubtful() + kept.doubtful()).isOne();
            doubts.add(kept.doubtful());
            if (kept.doubtful() == 1) {
              assertThat(kept.firstDoubt().orElseThrow()).contains("sample 5 (id 4)");
            } else {
              assertThat(kept.firstDoubt()).isEmpty();
            }
          }
          assertThat(doubts).contains(0, 1);
        });
  }

  @Test
  void lengthsOfASetGroupItsSamples() {
    with(
        TRAIN,
        16,
        152,
        OverLength.SKIP,
        set -> {
          // 0 and 3 with images, 4 without; 1 and 2 are too long
          assertThat(set.skipped()).isEqualTo(2);
          assertThat(set.modalityLengths()).containsExactly(11, 7, -5);
          LengthGroups groups = new LengthGroups(set.modalityLengths(), 1, 2);
          int[] order = new SampleOrder(set.size(), 42, new Arrangement.Grouped(groups)).epoch(0);
          assertThat(order).containsExactly(0, 1, 2);
        });
  }

  @ParameterizedTest
  @ValueSource(strings = {"a", "b"})
  void theFirstWrongSampleOfAFileIsNamed(String kind) throws IOException {
    String wrong =
        kind.equals("a")
            ? "{\"from\": \"human\", \"value\": \"again\"}"
            : "{\"from\": \"system\", \"value\": \"be brief\"}";
    Path json =
        Files.writeString(
            folder.resolve("talk.json"),
            """
            [{"id": 1, "conversations": [{"from": "human", "value": "q"},
                                         {"from": "gpt", "value": "a"}]},
             {"id": 2, "conversations": [{"from": "human", "value": "q"}, %s]}]"""
                .formatted(wrong));
    assertThatThrownBy(() -> with(json, 16, 256, OverLength.REJECT, _ -> {}))
        .isInstanceOf(DataException.class)
        .hasMessageStartingWith(json + ": sample 2 (id 2): ")
        .hasMessageEndingWith(
            kind.equals("a")
                ? "two turns of the user follow each other (turn 2 from the first question on); user"
                    + " and assistant must take turns"
                : "turn 2 is from \"system\"; known are user, human, assistant, gpt");
  }
}
