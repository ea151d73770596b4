package io.moextend.backend;

import io.moextend.array.Array;
import io.moextend.backend.AttentionKernels.Attention;
import io.moextend.backend.AttentionKernels.Sight;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

final class AttentionCases {
  private AttentionCases() {}

  private static Attention shape(
      int batch,
      int queries,
      int keys,
      int heads,
      int keyHeads,
      int size,
      boolean causal,
      int window) {
    return new Attention(
        batch, queries, keys, heads, keyHeads, size, 1 / Math.sqrt(size), causal, window);
  }

  static Stream<Case> cases() {
    var cases = new ArrayList<Case>();
    var shapes = new ArrayList<Attention>();
    shapes.add(shape(1, 1, 1, 1, 1, 1, false, 0));
    shapes.add(shape(2, 5, 5, 2, 2, 8, true, 0));
    shapes.add(shape(2, 7, 7, 4, 2, 16, true, 0)); // grouped heads
    shapes.add(shape(1, 9, 9, 6, 2, 10, false, 0));
    shapes.add(shape(1, 1, 17, 4, 1, 32, true, 0)); // a step of generation
    shapes.add(shape(2, 3, 11, 2, 1, 8, true, 0)); // keys that came before
    shapes.add(shape(2, 1, 150, 4, 2, 64, true, 0)); // generation behind many keys
    shapes.add(shape(1, 3, 90, 2, 1, 40, true, 50));
    shapes.add(shape(1, 33, 33, 2, 2, 24, true, 5));
    shapes.add(shape(1, 4, 20, 2, 2, 8, true, 6));
    shapes.add(shape(1, 6, 9, 2, 2, 8, false, 3));
    shapes.add(shape(1, 150, 150, 2, 1, 8, true, 0)); // more than one block
    shapes.add(shape(1, 140, 200, 1, 1, 64, false, 0));
    shapes.add(shape(1, 300, 300, 1, 1, 8, true, 40));
    shapes.add(shape(2, 100, 330, 5, 1, 8, true, 0)); // stacks of heads that are not alike
    shapes.add(shape(1, 130, 130, 16, 2, 6, true, 70));
    shapes.add(shape(1, 520, 520, 2, 2, 4, false, 0));
    for (Attention shape : shapes) {
      cases.add(attend(shape, false, false));
      cases.add(attend(shape, true, false));
    }
    cases.add(attend(shapes.get(2), false, true));
    cases.add(attend(shapes.get(3), true, true));
    cases.add(attend(shapes.get(6), true, true)); // a step of a T5's answer
    cases.add(attend(shapes.get(11), true, true));
    cases.add(attend(shapes.get(14), true, true));
    cases.add(attend(shapes.get(15), true, true));
    cases.add(attend(new Attention(1, 20, 300, 2, 1, 8, -0.4, true, 0), false, false));
    cases.add(attend(new Attention(1, 20, 300, 2, 1, 8, 0, true, 0), true, false));
    cases.add(manyKeysMasked());
    cases.add(growingScores());
    cases.add(nothingToSee());
    cases.add(noSequences());
    cases.add(steepScores());
    for (boolean uniform : new boolean[] {false, true}) {
      cases.add(segments(shape(2, 20, 20, 2, 2, 8, true, 0), true, uniform));
      cases.add(segments(shape(2, 9, 21, 4, 2, 16, false, 0), false, uniform));
      cases.add(segments(shape(1, 1, 40, 2, 2, 8, false, 0), false, uniform));
      cases.add(segments(shape(2, 150, 330, 2, 1, 8, false, 0), true, uniform));
      cases.add(segments(shape(1, 300, 300, 1, 1, 12, true, 0), true, uniform));
      cases.add(segments(shape(1, 200, 200, 2, 2, 8, true, 30), false, uniform));
    }
    cases.add(blindKeys());
    return cases.stream();
  }

  private static Case attend(Attention shape, boolean masked, boolean biased) {
    return Case.of(
        "attend",
        shape + (masked ? " masked" : "") + (biased ? " biased" : ""),
        t -> {
          Array mask =
              masked ? t.maskOf(firstKeySeen(t, shape), shape.batch(), shape.keys()) : null;
          Array bias =
              biased ? t.wideValues(shape.queryHeads(), shape.queries(), shape.keys()) : null;
          bothWays(t, shape, Sight.of(mask), bias, true);
        });
  }

  /** A random mask under which a query at the start of a causal sequence still sees a key. */
  private static double[] firstKeySeen(Trial t, Attention shape) {
    double[] mask = new double[shape.batch() * shape.keys()];
    for (int i = 0; i < mask.length; i++) {
      mask[i] = shape.window() > 0 || i % shape.keys() == 0 || t.random().nextInt(4) > 0 ? 1 : 0;
    }
    if (shape.window() > 2) { // every other key: some of each window stay
      for (int i = 1; i < mask.length; i += 2) {
        mask[i] = i % shape.keys() == 0 ? 1 : 0;
      }
    }
    return mask;
  }

  /** Queries that see no key: all keys masked, left padding, more queries than keys. */
  private static Case nothingToSee() {
    return Case.of(
        "attend",
        "queries that see no key",
        t -> {
          Attention causal = shape(3, 5, 5, 4, 2, 8, true, 0);
          double[] mask = {0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 1};
          bothWays(t, causal, Sight.of(t.maskOf(mask, 3, 5)), null, false);
          bothWays(t, shape(1, 9, 4, 2, 1, 8, true, 0), null, null, false);
          bothWays(t, shape(1, 200, 20, 2, 1, 8, true, 3), null, null, false);
        });
  }

  /** Several sequences in a row, and padding at its end, of queries and of keys. */
  private static Case segments(Attention shape, boolean biased, boolean uniform) {
    return Case.of(
        "attend",
        shape + " of segments" + (biased ? " biased" : "") + (uniform ? " uniform" : ""),
        t -> {
          Array keys =
              t.maskOf(numbers(t, shape.batch(), shape.keys()), shape.batch(), shape.keys());
          double[] ofQueries = numbers(t, shape.batch(), shape.queries());
          Array queries = t.maskOf(ofQueries, shape.batch(), shape.queries());
          Array bias =
              biased ? t.wideValues(shape.queryHeads(), shape.queries(), shape.keys()) : null;
          bothWays(t, shape, new Sight(keys, queries, uniform), bias, false);
        });
  }

  /** 1, 2, … up to 200 in runs, 0 at the end. */
  private static double[] numbers(Trial t, int rows, int length) {
    double[] numbers = new double[rows * length];
    for (int row = 0; row < rows; row++) {
      int number = 1;
      for (int i = 0; i < length - length / 5; i++) {
        numbers[row * length + i] = number;
        number += t.random().nextInt(1 + length / 4) == 0 ? 1 + t.random().nextInt(99) : 0;
      }
    }
    return numbers;
  }

  /** A key mask alone, where who sees nothing gets the mean. */
  private static Case blindKeys() {
    return Case.of(
        "attend",
        "uniform where all keys are masked",
        t -> {
          double[] mask = {0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 1};
          var sight = new Sight(t.maskOf(mask, 3, 5), null, true);
          bothWays(t, shape(3, 5, 5, 4, 2, 8, true, 0), sight, null, false);
          double[] few = {0, 0, 1, 1};
          var one = new Sight(t.maskOf(few, 2, 2), null, true);
          bothWays(t, shape(2, 1, 2, 2, 2, 8, false, 0), one, null, false);
        });
  }

  /** Whole blocks of keys that a mask hides, first and in the middle. */
  private static Case manyKeysMasked() {
    return Case.of(
        "attend",
        "many keys masked",
        t -> {
          double[] mask = new double[2 * 900];
          Arrays.fill(mask, 290, 310, 1);
          Arrays.fill(mask, 880, 900, 1);
          Arrays.fill(mask, 900 + 600, 900 + 603, 1);
          Sight sight = Sight.of(t.maskOf(mask, 2, 900));
          bothWays(t, shape(2, 70, 900, 2, 1, 8, false, 0), sight, null, false);
        });
  }

  /** Each block of keys has far larger scores than all before. */
  private static Case growingScores() {
    return Case.of(
        "attend",
        "growing scores",
        t -> {
          Attention shape = shape(1, 70, 1100, 2, 1, 8, false, 0);
          double[] growing = t.normal(1100, 8);
          for (int i = 0; i < growing.length; i++) {
            growing[i] *= 1 + i / 8 / 100;
          }
          Array q = t.values(70, 16);
          Array k = t.valuesOf(growing, 1100, 8);
          Array v = t.values(1100, 8);
          var attended = t.backend().attend(t.arena(), shape, q, k, v, null, null);
          t.loosely("out", attended.out(), t.compute(), 4, 70, 16);
          t.result("logSumExp", attended.logSumExp(), t.wide(), 1, 2, 70);
        });
  }

  /** Scores far beyond what e^x holds in F32. */
  private static Case steepScores() {
    return Case.of(
        "attend",
        "steep scores",
        t -> {
          Attention shape = shape(1, 20, 20, 2, 1, 16, true, 0);
          double[] steep = Arrays.stream(t.normal(20, 32)).map(x -> 50 * x).toArray();
          Array q = t.valuesOf(steep, 20, 32);
          Array k = t.values(20, 16);
          Array v = t.values(20, 16);
          var attended = t.backend().attend(t.arena(), shape, q, k, v, null, null);
          // a score's own rounding is what remains
          t.loosely("out", attended.out(), t.compute(), 20, 20, 32);
          t.result("logSumExp", attended.logSumExp(), t.wide(), 1, 2, 20);
        });
  }

  private static Case noSequences() {
    return Case.of(
        "attend",
        "no sequences",
        t -> bothWays(t, shape(0, 5, 5, 2, 1, 8, true, 0), null, null, true));
  }

  static void bothWays(
      Trial t, Attention shape, @Nullable Sight sight, @Nullable Array bias, boolean logs) {
    long rows = (long) shape.batch() * shape.queries();
    long width = (long) shape.queryHeads() * shape.headSize();
    long keyRows = (long) shape.batch() * shape.keys();
    long keyWidth = (long) shape.keyHeads() * shape.headSize();
    Array q = t.values(rows, width);
    Array k = t.values(keyRows, keyWidth);
    Array v = t.values(keyRows, keyWidth);
    Array dOut = t.values(rows, width);
    Backend b = t.backend();
    var attended = b.attend(t.arena(), shape, q, k, v, sight, bias);
    t.loosely("out", attended.out(), t.compute(), 2, rows, width);
    if (logs) {
      t.result(
          "logSumExp",
          attended.logSumExp(),
          t.wide(),
          shape.batch(),
          shape.queryHeads(),
          shape.queries());
    }
    var d = b.attendBackward(t.arena(), shape, dOut, q, k, v, attended, sight, bias, bias != null);
    // probabilities, gradients of scores and the result itself may be rounded on the way, and
    // the gradient of a score is a difference of such numbers
    t.loosely("dQ", d.dQ(), t.compute(), 4, rows, width);
    t.loosely("dK", d.dK(), t.compute(), 4, keyRows, keyWidth);
    t.loosely("dV", d.dV(), t.compute(), 4, keyRows, keyWidth);
    Array dBias = d.dBias();
    if (dBias != null) {
      t.rounded("dBias", dBias, shape.queryHeads(), shape.queries(), shape.keys());
    }
  }
}
