package io.moextend.backend;

import io.moextend.array.DType;
import io.moextend.backend.Trial.Result;
import java.util.Arrays;
import java.util.List;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** The uses of kernels that every backend is held to, and how a result is held to the oracle's. */
final class KernelCases {
  private static final long SEED = 20261122;

  /** In place of what the oracle said where that was not written down. */
  static final double UNKNOWN = Double.longBitsToDouble(0x7ff84d584b31L << 16);

  /**
   * @param seed of its inputs
   */
  record Seeded(Case kernel, long seed) {
    @Override
    public String toString() {
      return kernel + " seed " + seed;
    }
  }

  private KernelCases() {}

  /** The same ones with the same seeds wherever they are asked for. */
  static List<Seeded> seeded() {
    List<Case> cases =
        Stream.of(
                MatrixCases.cases(),
                NormCases.cases(),
                ElementCases.cases(),
                RowCases.cases(),
                AttentionCases.cases(),
                RoutingCases.cases(),
                LossCases.cases(),
                UpdateCases.cases(),
                AdafactorCases.cases(),
                AdapterCases.cases(),
                SumCases.cases())
            .flatMap(s -> s)
            .toList();
    return IntStream.range(0, cases.size())
        .mapToObj(i -> new Seeded(cases.get(i), SEED + i))
        .toList();
  }

  /** What the case gives on a backend that computes in the type; its inputs must be as before. */
  static List<Result> run(Backend backend, DType type, Seeded seeded) {
    try (var trial = new Trial(backend, type, type, seeded.seed(), Trial.NONE)) {
      seeded.kernel().body().accept(trial);
      trial.requireInputsUnchanged();
      return trial.results();
    }
  }

  /** What the case gives in doubles, its inputs rounded to the type. */
  static List<Result> wanted(Backend oracle, DType type, Seeded seeded) {
    return answer(oracle, type, seeded).results();
  }

  /**
   * What an oracle said.
   *
   * @param inputs fingerprint of the values that it was given
   */
  record Answer(long inputs, List<Result> results) {}

  /** As {@link #wanted}, to be written down. */
  static Answer answer(Backend oracle, DType type, Seeded seeded) {
    try (var trial = new Trial(oracle, type, DType.F64, seeded.seed(), Trial.NONE)) {
      seeded.kernel().body().accept(trial);
      return new Answer(trial.fingerprint(), trial.results());
    }
  }

  /** As {@link #run}; compared with an oracle's answer that was written down elsewhere. */
  static void hold(Backend backend, DType type, Seeded seeded, Answer answer) {
    try (var trial = new Trial(backend, type, type, seeded.seed(), Trial.NONE)) {
      seeded.kernel().body().accept(trial);
      if (trial.fingerprint() != answer.inputs()) {
        throw new IllegalStateException(
            "the inputs are not those of the record; pack again with the same version");
      }
      trial.requireInputsUnchanged();
      compare(trial.results(), answer.results());
    }
  }

  /**
   * @throws AssertionError where one is not the oracle's within the tolerance
   */
  static void compare(List<Result> got, List<Result> want) {
    if (got.size() != want.size()) {
      throw new AssertionError("%d results, the oracle has %d".formatted(got.size(), want.size()));
    }
    for (int i = 0; i < got.size(); i++) {
      compare(got.get(i), want.get(i));
    }
  }

  private static void compare(Result got, Result want) {
    if (!got.name().equals(want.name()) || !Arrays.equals(got.shape(), want.shape())) {
      throw new AssertionError(
          "%s%s, the oracle's is %s%s"
              .formatted(
                  got.name(),
                  Arrays.toString(got.shape()),
                  want.name(),
                  Arrays.toString(want.shape())));
    }
    double[] g = got.values();
    double[] w = want.values();
    int rank = got.shape().length;
    int width = Math.toIntExact(Math.max(1, got.shape()[rank - 1]));
    double rms = Math.sqrt(known(w).map(x -> x * x).average().orElse(0));
    // a row that cancels is held to its neighbours' size
    double least = got.loosened() > 1 ? largest(w, 0, w.length) : 0.1 * rms;
    for (int from = 0; from < w.length; from += width) {
      double largest = Math.max(least, largest(w, from, from + width));
      double allowed = largest * Tolerance.of(got.dtype()) * got.loosened();
      for (int i = from; i < from + width; i++) {
        if (isKnown(w[i])
            && !(Math.abs(g[i] - w[i]) <= allowed)
            && Double.compare(g[i], w[i]) != 0) {
          throw new AssertionError(
              "%s%s: element %d is %s, the oracle's %s; allowed %.2g"
                  .formatted(got.name(), Arrays.toString(got.shape()), i, g[i], w[i], allowed));
        }
      }
    }
  }

  private static double largest(double[] values, int from, int until) {
    return Arrays.stream(values, from, until)
        .filter(KernelCases::isKnown)
        .map(Math::abs)
        .max()
        .orElse(0);
  }

  private static DoubleStream known(double[] values) {
    return Arrays.stream(values).filter(KernelCases::isKnown);
  }

  private static boolean isKnown(double value) {
    return Double.doubleToRawLongBits(value) != Double.doubleToRawLongBits(UNKNOWN);
  }
}
