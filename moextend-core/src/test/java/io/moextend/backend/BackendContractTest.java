package io.moextend.backend;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import io.moextend.array.DType;
import io.moextend.backend.BackendProvider.Options;
import io.moextend.backend.KernelCases.Seeded;
import io.moextend.backend.Trial.Result;
import io.moextend.backend.cuda.EmulatedCuda;
import io.moextend.backend.plain.PlainBackend;
import java.util.ArrayList;
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

  private interface Claim {
    void check(Candidate candidate, Seeded seeded);
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
      for (Seeded seeded : KernelCases.seeded()) {
        Case kernel = seeded.kernel();
        if (!all && !(kernel.readsAll() && met.add(kernel.kernel()))) {
          continue;
        }
        String name = candidate + " " + seeded;
        tests.add(dynamicTest(name, () -> named(name, () -> claim.check(candidate, seeded))));
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
        (candidate, seeded) -> {
          long before = candidate.backend().memory().liveBytes();
          List<Result> got = run(candidate, seeded);
          assertThat(candidate.backend().memory().liveBytes()).as("live bytes").isEqualTo(before);
          KernelCases.compare(
              got, KernelCases.wanted(candidate.oracle(), candidate.type(), seeded));
        });
  }

  @TestFactory
  Stream<DynamicTest> theSameCallTwiceGivesTheSameBits() {
    return each(
        (candidate, seeded) -> {
          List<Result> first = run(candidate, seeded);
          List<Result> second = run(candidate, seeded);
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
        (candidate, seeded) -> {
          if (!seeded.kernel().readsAll()) {
            return;
          }
          for (int i : inputsWithElements(candidate, seeded)) {
            Throwable refusal;
            try (var trial =
                new Trial(
                    candidate.backend(), candidate.type(), candidate.type(), seeded.seed(), i)) {
              refusal = catchThrowable(() -> seeded.kernel().body().accept(trial));
            }
            assertThat(refusal)
                .as("after input %d was freed", i)
                .isInstanceOf(RuntimeException.class)
                .hasMessageContaining("freed");
          }
        },
        false);
  }

  private static List<Integer> inputsWithElements(Candidate candidate, Seeded seeded) {
    var found = new ArrayList<Integer>();
    try (var trial =
        new Trial(
            candidate.backend(), candidate.type(), candidate.type(), seeded.seed(), Trial.NONE)) {
      seeded.kernel().body().accept(trial);
      for (int i = 0; i < trial.made(); i++) {
        if (trial.hasElements(i)) {
          found.add(i);
        }
      }
    }
    return found;
  }

  private static List<Result> run(Candidate candidate, Seeded seeded) {
    return KernelCases.run(candidate.backend(), candidate.type(), seeded);
  }
}
