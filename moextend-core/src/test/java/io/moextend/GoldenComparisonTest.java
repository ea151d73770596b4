package io.moextend;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.checkpoint.TensorData;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** What the comparison with reference files must not overlook. */
class GoldenComparisonTest {
  private static final TensorData LOGITS = floats("logits", 1, 0, -3);
  private static final TensorData TYPES = longs("types", 0, 1, 1, 95);
  private static final TensorData CHOICE = longs("vis_selected_experts.1", 0, 2, 1, 2);

  private static TensorData floats(String name, float... values) {
    return TensorData.of(name, new long[] {values.length}, values);
  }

  private static TensorData longs(String name, long... values) {
    return TensorData.of(name, new long[] {values.length / 2, 2}, values);
  }

  private static Map<String, String> wrong(TensorData... traced) {
    return GoldenComparison.wrong(
        List.of(traced), HeldTensors.of(LOGITS, TYPES, CHOICE), name -> true);
  }

  @Test
  void whatIsNearIsEqualAndOfAChoiceTheOrderIsFree() {
    assertThat(
            wrong(
                floats("logits", 1.00021f, 1e-5f, -3),
                TYPES,
                longs("vis_selected_experts.1", 2, 0, 1, 2)))
        .isEmpty();
  }

  @Test
  void whatIsFurtherOffOrMissingOrOfAnotherShapeIsFound() {
    assertThat(wrong(floats("logits", 1.0003f, 0, -3), TYPES, CHOICE)).containsOnlyKeys("logits");
    assertThat(wrong(floats("logits", Float.NaN, 0, -3), TYPES, CHOICE)).containsOnlyKeys("logits");
    assertThat(wrong(LOGITS, longs("types", 1, 0, 1, 95), CHOICE)).containsOnlyKeys("types");
    assertThat(wrong(LOGITS, TYPES, longs("vis_selected_experts.1", 0, 1, 1, 2)))
        .containsOnlyKeys("vis_selected_experts.1");
    assertThat(wrong(floats("logits", 1, 0), TYPES))
        .containsOnlyKeys("logits", "vis_selected_experts.1");
  }
}
