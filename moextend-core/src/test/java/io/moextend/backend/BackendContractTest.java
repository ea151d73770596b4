package io.moextend.backend;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import io.moextend.array.DType;
import io.moextend.backend.BackendProvider.Options;
import io.moextend.backend.Trial.Result;
import io.moextend.backend.cuda.EmulatedCuda;
import io.moextend.backend.plain.PlainBackend;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.TestInstance;

/**
 * What every backend on the class path that can run here has to do, in each of its compute types.
 * ND4J in F64 is the oracle; the oracle is compared with plain loops.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class BackendContractTest {
  private static final long SEED = 20261122;
  private static final Options OPTIONS = new Options(2, 0);

  /** One backend in one compute type, and what its results are compared with. */
  private record Candidate(Backend backend, DType type, Backend oracle) {
    @Override
    public String toString() {
      return backend.name() + " " + type;
    }
  }

  private final List<Backend> opened = new ArrayList<>();
  private final List<Candidate> candidates = new ArrayList<>();

  @BeforeAll
  @SuppressWarnings("MustBeClosedChecker") // closed after all tests
  void open() {
    Backend oracle = Backends.open("nd4j", OPTIONS);
    opened.add(oracle);
    Backend plain = new PlainBackend();
    opened.add(plain);
    for (BackendProvider provider : known()) {
      if (!provider.missing().isEmpty()) {
        continue;
      }
      Backend backend = provider.open(OPTIONS);
      opened.add(backend);
      for (DType type : backend.computeTypes().stream().sorted().toList()) {
        boolean isOracle = provider.name().equals(oracle.name()) && type == DType.F64;
        candidates.add(new Candidate(backend, type, isOracle ? plain : oracle));
      }
    }
  }

  /** Those on the class path, and the cards' backend in the emulator. */
  static List<BackendProvider> known() {
    var all = new ArrayList<BackendProvider>(Backends.known());
    all.add(new EmulatedCuda());
    return all;
  }

  @AfterAll
  void close() {
    opened.forEach(Backend::close);
  }

  private static List<Case> cases() {
    return Stream.of(
            MatrixCases.cases(),
            NormCases.cases(),
            ElementCases.cases(),
            RowCases.cases(),
            AttentionCases.cases(),
            RoutingCases.cases(),
            LossCases.cases(),
            UpdateCases.cases(),
            AdafactorCases.cases(),
            AdapterCases.cases())
        .flatMap(s -> s)
        .toList();
  }

  private interface Claim {
    void check(Candidate candidate, Case kernel, long seed);
  }

  private Stream<DynamicTest> each(Claim claim) {
    return each(claim, true);
  }

  /**
   * @param emulated false where the emulated card, which takes long and has no races, is asked for
   *     one case of each kernel alone
   */
  private Stream<DynamicTest> each(Claim claim, boolean emulated) {
    List<DynamicTest> tests = new ArrayList<>();
    for (Candidate candidate : candidates) {
      boolean all = emulated || !candidate.backend().device().startsWith(EmulatedCuda.DEVICE);
      var met = new HashSet<String>();
      long seed = SEED;
      for (Case kernel : cases()) {
        long own = seed++;
        if (!all && !(kernel.readsAll() && met.add(kernel.kernel()))) {
          continue;
        }
        String name = "%s %s seed %d".formatted(candidate, kernel, own);
        tests.add(dynamicTest(name, () -> named(name, () -> claim.check(candidate, kernel, own))));
      }
    }
    return tests.stream();
  }

  /** Puts backend, type, kernel and seed at the head of whatever goes wrong. */
  private static void named(String name, Runnable check) {
    Throwable failure = catchThrowable(check::run);
    if (failure != null) {
      throw new AssertionError(name + ": " + failure.getMessage(), failure);
    }
  }

  @TestFactory
  Stream<DynamicTest> everyKernelAgreesWithTheOracleAndLeavesItsInputs() {
    return each(
        (candidate, kernel, seed) -> {
          long before = candidate.backend().memory().liveBytes();
          List<Result> got = run(candidate, kernel, seed);
          assertThat(candidate.backend().memory().liveBytes()).as("live bytes").isEqualTo(before);
          List<Result> want;
          try (var trial =
              new Trial(candidate.oracle(), candidate.type(), DType.F64, seed, Trial.NONE)) {
            kernel.body().accept(trial);
            want = trial.results();
          }
          assertThat(got).as("results").hasSameSizeAs(want);
          for (int i = 0; i < got.size(); i++) {
            compare(got.get(i), want.get(i));
          }
        });
  }

  @TestFactory
  Stream<DynamicTest> theSameCallTwiceGivesTheSameBits() {
    return each(
        (candidate, kernel, seed) -> {
          List<Result> first = run(candidate, kernel, seed);
          List<Result> second = run(candidate, kernel, seed);
          for (int i = 0; i < first.size(); i++) {
            assertThat(second.get(i).values())
                .as(first.get(i).name())
                .isEqualTo(first.get(i).values());
          }
        },
        false);
  }

  @TestFactory
  Stream<DynamicTest> aFreedInputIsRefused() {
    return each(
        (candidate, kernel, seed) -> {
          if (!kernel.readsAll()) {
            return;
          }
          for (int i : inputsWithElements(candidate, kernel, seed)) {
            Throwable refusal;
            try (var trial =
                new Trial(candidate.backend(), candidate.type(), candidate.type(), seed, i)) {
              refusal = catchThrowable(() -> kernel.body().accept(trial));
            }
            assertThat(refusal)
                .as("after input %d was freed", i)
                .isInstanceOf(RuntimeException.class)
                .hasMessageContaining("freed");
          }
        },
        false);
  }

  private static List<Integer> inputsWithElements(Candidate candidate, Case kernel, long seed) {
    var found = new ArrayList<Integer>();
    try (var trial =
        new Trial(candidate.backend(), candidate.type(), candidate.type(), seed, Trial.NONE)) {
      kernel.body().accept(trial);
      for (int i = 0; i < trial.made(); i++) {
        if (trial.hasElements(i)) {
          found.add(i);
        }
      }
    }
    return found;
  }

  private static List<Result> run(Candidate candidate, Case kernel, long seed) {
    try (var trial =
        new Trial(candidate.backend(), candidate.type(), candidate.type(), seed, Trial.NONE)) {
      kernel.body().accept(trial);
      trial.requireInputsUnchanged();
      return trial.results();
    }
  }

  private static void compare(Result got, Result want) {
    assertThat(got.name()).isEqualTo(want.name());
    assertThat(got.shape()).as("shape of %s", got.name()).isEqualTo(want.shape());
    double[] g = got.values();
    double[] w = want.values();
    int rank = got.shape().length;
    int width = Math.toIntExact(Math.max(1, got.shape()[rank - 1]));
    double rms = Math.sqrt(Arrays.stream(w).map(x -> x * x).average().orElse(0));
    // a row that cancels is held to its neighbours' size
    double least = got.loosened() > 1 ? largest(w, 0, w.length) : 0.1 * rms;
    for (int from = 0; from < w.length; from += width) {
      double largest = Math.max(least, largest(w, from, from + width));
      double allowed = largest * Tolerance.of(got.dtype()) * got.loosened();
      for (int i = from; i < from + width; i++) {
        if (!(Math.abs(g[i] - w[i]) <= allowed) && Double.compare(g[i], w[i]) != 0) {
          throw new AssertionError(
              "%s%s: element %d is %s, the oracle's %s; allowed %.2g"
                  .formatted(got.name(), Arrays.toString(got.shape()), i, g[i], w[i], allowed));
        }
      }
    }
  }

  private static double largest(double[] values, int from, int until) {
    return Arrays.stream(values, from, until).map(Math::abs).max().orElse(0);
  }
}
