package io.moextend.op;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider.Options;
import io.moextend.backend.Backends;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The ops that adapters are made of: backward is the derivative of forward. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class AdapterGradientTest {
  private Backend b;

  @BeforeAll
  @SuppressWarnings("MustBeClosedChecker") // closed after all tests
  void open() {
    b = Backends.open("nd4j", new Options(1, 0));
  }

  @AfterAll
  void close() {
    b.close();
  }

  private GradientCheck check(long seed) {
    return new GradientCheck(b, seed);
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void mixturesOfVectors(long seed) {
    try (var c = check(seed)) {
      int rows = c.size(4);
      int heads = c.size(3);
      int experts = c.size(4);
      int size = c.size(5);
      c.input(rows, (long) heads * size)
          .input((long) rows * heads, experts)
          .input(heads, experts, size)
          .agree((t, x) -> List.of(Rescale.apply(t, x.get(0), x.get(1), x.get(2))));
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void blocksOfColumns(long seed) {
    try (var c = check(seed)) {
      int rows = c.size(4);
      int experts = c.size(3);
      c.input(rows, (long) experts * c.size(3))
          .input(rows, experts)
          .agree((t, x) -> List.of(ScaleBlocks.apply(t, Scale.apply(t, x.get(0), -1.5), x.get(1))));
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void productsThatTurnBackAndStackedWeights(long seed) {
    try (var c = check(seed)) {
      int rows = c.size(4);
      int experts = c.size(3);
      int rank = c.size(3);
      int in = c.size(4);
      int out = c.size(4);
      Weight a = stacked(c.parameter(experts, rank, in));
      Weight w = stacked(c.parameter(experts, rank, out));
      try (a;
          w) {
        c.input(rows, in)
            .agree((t, x) -> List.of(Project.transposed(t, Project.apply(t, x.getFirst(), a), w)));
      }
    }
  }

  private Weight stacked(Parameter parameter) {
    return Weight.stacked(b, parameter);
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void whatIsAddedToColumns(long seed) {
    try (var c = check(seed)) {
      int rows = c.size(4);
      int before = c.size(3);
      int first = c.size(3);
      int second = c.size(3);
      c.input(rows, before + first + second)
          .input(rows, first)
          .input(rows, second)
          .input(rows, before + first + second)
          .agree(
              (t, x) -> {
                Tensor own = Add.scaled(t, x.get(0), x.get(0), 1); // the sum overwrites it
                return List.of(
                    AddColumns.into(
                        t,
                        own,
                        List.of(
                            new AddColumns.Addend(before, x.get(1)),
                            new AddColumns.Addend(before + first, x.get(2)),
                            new AddColumns.Addend(0, x.get(3)))));
              });
    }
  }

  @Test
  void columnsThatWereSplit() {
    try (var c = check(7)) {
      c.input(3, 6)
          .agree(
              (t, x) -> {
                List<Tensor> parts = Columns.split(t, x.getFirst(), 2, 1, 3);
                return List.of(parts.get(0), Scale.apply(t, parts.get(2), 3));
              });
    }
  }

  @Test
  void theLargestSharesOfEachRow() {
    try (var c = check(8)) {
      c.input(5, 4)
          .agree((t, x) -> List.of(Route.largest(t, Route.probabilities(t, x.getFirst()), 2)));
    }
  }

  @Test
  void theLargestAreKeptAsTheyAreAndAmongEqualsTheFirst() {
    try (Arena arena = b.arena("shares")) {
      double[] p = {0.25, 0.25, 0.25, 0.25, 0.1, 0.2, 0.4, 0.3};
      Array shares = b.doubles(arena, DType.F64, p, 2, 4);
      Tensor kept = Route.largest(Tape.off(b, arena), Tensor.constant(shares), 2);
      assertThat(b.toFloats(arena, kept.data()))
          .containsExactly(0.25f, 0.25f, 0, 0, 0, 0, 0.4f, 0.3f);
    }
  }
}
