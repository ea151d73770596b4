package io.moextend.backend;

import io.moextend.array.Array;
import io.moextend.array.DType;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.stream.IntStream;
import java.util.stream.Stream;

final class RoutingCases {
  private RoutingCases() {}

  static Stream<Case> cases() {
    var cases = new ArrayList<Case>();
    for (int[] s :
        new int[][] {
          {1, 1}, {70, 1}, {7, 5}, {33, 9}, {130, 9}, {140, 8}, {64, 16}, {0, 4}, {16, 64}, {3, 130}
        }) {
      cases.add(softmax(s[0], s[1]));
    }
    for (int[] s :
        new int[][] {
          {1, 1, 1},
          {7, 5, 2},
          {33, 9, 3},
          {130, 9, 2},
          {140, 8, 2},
          {0, 4, 2},
          {16, 8, 8},
          {100, 64, 6}
        }) {
      cases.add(topK(s[0], s[1], s[2]));
      cases.add(pick(s[0], s[1], s[2], true));
      cases.add(pick(s[0], s[1], s[2], false));
      cases.add(rows(s[0], s[1], s[2], 33));
    }
    cases.add(rows(70, 4, 2, 1));
    cases.add(topK(3, 300, 1)); // a vocabulary's logits
    cases.add(topK(2, 1000, 3));
    cases.add(equals());
    cases.add(oneExpert());
    cases.add(steepLogits());
    return cases.stream();
  }

  private static Case softmax(int tokens, int experts) {
    return Case.of(
        "softmax",
        "[%d, %d]".formatted(tokens, experts),
        t -> {
          Array logits = t.wideValues(tokens, experts);
          Array d = t.wideValues(tokens, experts);
          Array p = t.widePositive(tokens, experts);
          Backend b = t.backend();
          t.result("p", b.softmax(t.arena(), logits), t.wide(), tokens, experts);
          t.result("dLogits", b.softmaxBackward(t.arena(), d, p), t.wide(), tokens, experts);
        });
  }

  private static Case steepLogits() {
    return Case.of(
        "softmax",
        "of logits that would overflow",
        t -> {
          double[] values = {1000, 999, -1000, 0, -3000, -3001, -2999, -3000};
          Array logits = t.wideValuesOf(values, 2, 4);
          t.result("p", t.backend().softmax(t.arena(), logits), t.wide(), 2, 4);
        });
  }

  private static Case topK(int tokens, int experts, int k) {
    return Case.of(
        "topK",
        "%d of [%d, %d]".formatted(k, tokens, experts),
        t -> {
          Array scores = t.wideValues(tokens, experts);
          t.result("chosen", t.backend().topK(t.arena(), scores, k), DType.I32, tokens, k);
        });
  }

  /** Scores that repeat: the lower index comes first, also at minus infinity. */
  private static Case equals() {
    return Case.of(
        "topK",
        "among equals",
        t -> {
          double low = Double.NEGATIVE_INFINITY;
          double[] values = {
            1, 1, 1, 1, 1, //
            0, 2, 1, 2, 1, //
            3, 3, 2, 2, 3, //
            low, low, 5, low, low, //
            -0.0, 0.0, -1, 0.0, -0.0
          };
          Array scores = t.wideValuesOf(values, 5, 5);
          t.result("four", t.backend().topK(t.arena(), scores, 4), DType.I32, 5, 4);
          int[] few = IntStream.range(0, 60).map(i -> t.random().nextInt(3)).toArray();
          double[] repeated = IntStream.of(few).asDoubleStream().toArray();
          Array many = t.wideValuesOf(repeated, 10, 6);
          t.result("three", t.backend().topK(t.arena(), many, 3), DType.I32, 10, 3);
        });
  }

  private static Case pick(int tokens, int experts, int k, boolean normalise) {
    return Case.of(
        "pick",
        "%d of [%d, %d]%s".formatted(k, tokens, experts, normalise ? " normalised" : ""),
        t -> {
          // the share of a sole expert is 1 and its gradient 0, which no rounding must hide
          double[] exact = new double[tokens * experts];
          Arrays.fill(exact, 0.5);
          boolean sole = normalise && k == 1;
          Array scores =
              sole ? t.wideValuesOf(exact, tokens, experts) : t.widePositive(tokens, experts);
          Array chosen = t.choices(tokens, k, experts);
          Array d = t.wideValues(tokens, k);
          Backend b = t.backend();
          t.result("picked", b.pick(t.arena(), scores, chosen, normalise), t.wide(), tokens, k);
          t.loosely(
              "dScores",
              b.pickBackward(t.arena(), d, scores, chosen, normalise),
              t.wide(),
              10, // a normalised share cancels against the others
              tokens,
              experts);
        });
  }

  private static Case rows(int tokens, int experts, int k, int width) {
    return Case.of(
        "dispatch, permute, combine",
        "%d tokens, %d of %d experts, width %d".formatted(tokens, k, experts, width),
        t -> through(t, t.choices(tokens, k, experts), experts, width));
  }

  private static Case oneExpert() {
    return Case.of(
        "dispatch, permute, combine",
        "all tokens to the middle expert",
        t -> through(t, t.intsOf(IntStream.generate(() -> 2).limit(21).toArray(), 21, 1), 5, 16));
  }

  private static void through(Trial t, Array chosen, int experts, int width) {
    long tokens = chosen.dim(0);
    long k = chosen.dim(1);
    Array x = t.values(tokens, width);
    Array rows = t.values(tokens * k, width);
    Array weights = t.widePositive(tokens, k);
    Backend b = t.backend();
    Dispatch dispatch = b.dispatch(t.arena(), chosen, experts);
    var placed = new Placed(t, dispatch);
    placed.check(chosen);
    Array sorted = placed.sorted(rows);
    Array permuted = b.permute(t.arena(), x, dispatch);
    t.result("permuted", placed.byChoice(permuted), t.compute(), tokens * k, width);
    t.result("dX", b.permuteBackward(t.arena(), sorted, dispatch), t.compute(), tokens, width);
    t.result(
        "combined", b.combine(t.arena(), sorted, weights, dispatch), t.compute(), tokens, width);
    var d = b.combineBackward(t.arena(), x, sorted, weights, dispatch);
    t.result("dRows", placed.byChoice(d.dRows()), t.compute(), tokens * k, width);
    t.result("dWeights", d.dWeights(), t.wide(), tokens, k);
  }
}
