package io.moextend.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.Golden;
import io.moextend.HeldTensors;
import io.moextend.checkpoint.CheckpointException;
import io.moextend.checkpoint.TensorData;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.config.VisionConfig;
import java.util.Objects;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** Two rows of at most four ids; an image has 16 slots. */
class WidenedRowsTest {
  private static final VisionConfig VISION =
      Objects.requireNonNull(
          HuggingFaceConfig.read(Golden.path("moiie/moiie_llama3")).decoder().vision());
  private static final TensorData IDS = table("input_ids", 5, -200, 7, 8, 5, 6, 9, 9);
  private static final TensorData MASK = table("attention_mask", 1, 1, 1, 1, 1, 1, 0, 0);
  private static final TensorData LABELS = table("labels", -100, -100, 7, 8, -100, 6, 9, 9);

  private static TensorData table(String name, long... values) {
    return TensorData.of(name, new long[] {2, values.length / 2}, values);
  }

  private static TensorData images(int count) {
    return TensorData.of("images", new long[] {count, 1}, new float[count]);
  }

  private static TraceInputs read(int longest, TensorData... tensors) {
    return TraceInputs.read(HeldTensors.of(tensors), VISION, longest);
  }

  private static TraceInputs.Pictures pictures(TraceInputs inputs) {
    return Objects.requireNonNull(inputs.pictures());
  }

  @Test
  void aMarkBecomesASlotForEachPatchAndPaddingGoesToTheEnd() {
    TraceInputs inputs = read(0, IDS, MASK, LABELS, images(1));
    TracedRows rows = inputs.rows();
    assertThat(rows.length()).isEqualTo(19);
    assertThat(rows.ids()).startsWith(5, 0).endsWith(new int[17]).contains(7, 8, 6);
    assertThat(rows.ids()[17]).isEqualTo(7);
    assertThat(rows.labels()).hasSize(38);
    assertThat(rows.labels()[18]).isEqualTo(8);
    assertThat(rows.labels()[20]).isEqualTo(6);
    assertThat(rows.labels()[21]).as("a hidden label is not learnt").isEqualTo(-100);
    assertThat(rows.blank()).containsExactly(IntStream.range(21, 38).toArray());
    assertThat(pictures(inputs).rows()).containsExactly(IntStream.range(1, 17).toArray());
    assertThat(rows.patches()).contains(1);
  }

  @Test
  void aRowWithoutAnImageMayOwnOneThatGoesNowhere() {
    TensorData textFirst = table("input_ids", 5, 6, 7, 8, 5, -200, 9, 9);
    assertThat(pictures(read(0, textFirst, MASK, images(1))).taken())
        .containsExactly(IntStream.range(0, 16).toArray());
    assertThat(pictures(read(0, textFirst, MASK, images(2))).taken())
        .containsExactly(IntStream.range(16, 32).toArray());
  }

  @Test
  void aRowIsCutAlsoInsideAnImage() {
    TraceInputs inputs = read(10, IDS, MASK, images(1));
    assertThat(inputs.rows().length()).isEqualTo(10);
    assertThat(inputs.rows().labels()).isNull();
    assertThat(pictures(inputs).rows()).containsExactly(IntStream.range(1, 10).toArray());
    assertThat(pictures(inputs).taken()).containsExactly(IntStream.range(0, 9).toArray());
  }

  @Test
  void imagesHaveToBeAsManyAsTheRowsAskFor() {
    assertThatThrownBy(() -> read(0, IDS, MASK, images(3)))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("input_ids")
        .hasMessageContaining("has 1 images and the file 3");
    assertThatThrownBy(() -> read(0, IDS, MASK))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("input_ids: has images, -200, and the file neither");
  }

  @Test
  void picturesThatNothingPlacesWantTokenTypes() {
    TensorData words = table("input_ids", 5, 6, 7, 8, 5, 6, 9, 9);
    assertThatThrownBy(() -> read(0, words, MASK, images(3)))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("token_type_ids: is missing: there are 3 images for 2 rows");
    assertThat(pictures(read(0, words, MASK, images(2))).taken()).isEmpty();
  }

  @Test
  void textAloneStaysAsItIsPaddingToo() {
    TensorData text = table("input_ids", 5, 6, 7, 8, 5, 6, 9, 9);
    TracedRows rows = read(3, text, MASK, LABELS).rows();
    assertThat(rows.length()).isEqualTo(4);
    assertThat(rows.ids()).containsExactly(5, 6, 7, 8, 5, 6, 9, 9);
    assertThat(rows.blank()).isEmpty();
    assertThat(rows.patches()).isNull();
  }

  @Test
  void tokenTypesHaveTheWidenedShapeAndCountAsTheyAre() {
    assertThatThrownBy(() -> read(0, IDS, MASK, images(1), table("token_type_ids", new long[8])))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("token_type_ids")
        .hasMessageContaining("[2, 19]");
    long[] types = new long[38];
    types[3] = 1;
    types[37] = 32_001;
    TracedRows rows = read(0, IDS, MASK, images(1), table("token_type_ids", types)).rows();
    assertThat(rows.types()).isEqualTo(types);
    assertThat(rows.patches()).containsOnlyOnce(1);
  }
}
