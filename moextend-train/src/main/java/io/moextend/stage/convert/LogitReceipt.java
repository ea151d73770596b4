package io.moextend.stage.convert;

import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * What was found when a converted model and its source answered the same random tokens.
 *
 * @param tokens how many
 * @param vision how many of them were taken for image patches; 0 where neither model tells them
 *     from text
 * @param backend what computed, in f32
 * @param expected whether the two must agree; not where a mixture becomes dense whose experts have
 *     learnt different things
 * @param largestLogit of the source's, by absolute value
 * @param largestDifference between any two logits; NaN where one is NaN
 * @param tolerance what a difference may be, as a share of the largest number of its row
 * @param different where hidden states, and with them logits, first differ by more than that; null
 *     where they do not
 * @param drawn routers that the checkpoints do not have and that were drawn for this
 */
public record LogitReceipt(
    int tokens,
    int vision,
    String backend,
    boolean expected,
    double largestLogit,
    double largestDifference,
    double tolerance,
    @Nullable String different,
    List<String> drawn) {
  public LogitReceipt {
    drawn = List.copyOf(drawn);
  }

  /** One line for a terminal. */
  public String text() {
    String among = vision == 0 ? "" : ", %d of them as image patches".formatted(vision);
    String routers = drawn.isEmpty() ? "" : "; %d routers drawn for it".formatted(drawn.size());
    return String.format(
        Locale.ROOT,
        "logits of %d random tokens%s: largest difference %.3g, largest logit %.3g (%s%s)",
        tokens,
        among,
        largestDifference,
        largestLogit,
        verdict(),
        routers);
  }

  private String verdict() {
    if (different == null) {
      return "the same within %.0e of a row's largest".formatted(tolerance);
    }
    return expected
        ? "different from " + different + " on"
        : "different from %s on, as the experts of a layer are not copies of each other"
            .formatted(different);
  }
}
