package io.moextend.backend;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.array.Array;

/**
 * Rows by choice (token 0's first, token 0's second, …) and as a dispatch sorts them, which
 * backends may do with rows of zeros in between.
 */
final class Placed {
  private final Trial trial;
  private final Dispatch dispatch;
  private final Array slot;

  Placed(Trial trial, Dispatch dispatch) {
    this.trial = trial;
    this.dispatch = dispatch;
    this.slot = dispatch.slot().reshape(dispatch.slot().size());
  }

  /** Rows by choice, each to where the dispatch wants it. */
  Array sorted(Array byChoice) {
    Backend b = trial.backend();
    return b.cast(
        trial.arena(),
        b.scatterRows(trial.arena(), byChoice, slot, dispatch.rows()),
        byChoice.dtype());
  }

  /** The other way. */
  Array byChoice(Array sorted) {
    return trial.backend().gatherRows(trial.arena(), sorted, slot);
  }

  /** Each choice has a row of its own, in its expert's range, and order of tokens there. */
  void check(Array chosen) {
    Backend b = trial.backend();
    int[] source = b.toInts(dispatch.source());
    int[] slots = b.toInts(dispatch.slot());
    int[] offsets = b.toInts(dispatch.offsets());
    int[] experts = b.toInts(chosen);
    assertThat(offsets).as("offsets").isSorted().startsWith(0).endsWith(dispatch.rows());
    assertThat(offsets).hasSize(dispatch.experts() + 1);
    assertThat(slots).as("slots").doesNotHaveDuplicates();
    for (int i = 0; i < experts.length; i++) {
      assertThat(source[slots[i]]).as("source of choice %d", i).isEqualTo(i / dispatch.topK());
      assertThat(slots[i])
          .as("slot of choice %d", i)
          .isBetween(offsets[experts[i]], offsets[experts[i] + 1] - 1);
    }
    long filled = java.util.Arrays.stream(source).filter(token -> token >= 0).count();
    assertThat(filled).as("rows with a token").isEqualTo(experts.length);
    for (int e = 0; e < dispatch.experts(); e++) {
      int before = -1;
      for (int r = offsets[e]; r < offsets[e + 1] && source[r] >= 0; r++) {
        assertThat(source[r]).as("token of row %d", r).isGreaterThanOrEqualTo(before);
        before = source[r];
      }
    }
  }
}
