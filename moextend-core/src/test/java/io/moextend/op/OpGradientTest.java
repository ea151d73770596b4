package io.moextend.op;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Activation;
import io.moextend.backend.AttentionKernels.Attention;
import io.moextend.backend.AttentionKernels.Sight;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider.Options;
import io.moextend.backend.Backends;
import io.moextend.backend.Dispatch;
import io.moextend.backend.LossKernels.BalanceForm;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Every op's backward is the derivative of its forward, through the tape, at random shapes. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class OpGradientTest {
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
  @EnumSource
  void activations(Activation kind) {
    try (var c = check(kind.ordinal())) {
      int rows = c.size(4);
      c.input(rows, c.size(5)).agree((t, x) -> List.of(Activate.apply(t, kind, x.getFirst())));
    }
    try (var c = check(100 + kind.ordinal())) {
      int rows = c.size(4);
      c.input(rows, 2L * c.size(4)).agree((t, x) -> List.of(Activate.gated(t, kind, x.getFirst())));
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void sums(long seed) {
    try (var c = check(seed)) {
      int rows = c.size(4);
      int width = c.size(5);
      int times = c.size(3);
      c.input(rows, width)
          .input(rows, width)
          .input((long) rows * times, width)
          .agree(
              (t, x) ->
                  List.of(
                      Add.apply(t, x.get(0), x.get(1)),
                      Add.scaled(t, x.get(0), x.get(1), -0.7),
                      Add.repeated(t, x.get(2), x.get(1))));
    }
  }

  @Test
  void aTensorAddedToItselfCountsTwice() {
    try (var c = check(5)) {
      c.input(3, 2).agree((t, x) -> List.of(Add.apply(t, x.getFirst(), x.getFirst())));
    }
  }

  @ParameterizedTest
  @CsvSource({
    "1, 3, 3, false, 0",
    "2, 4, 4, true, 0",
    "3, 3, 5, true, 2",
    "4, 2, 6, false, 0",
    "5, 4, 2, true, 0"
  })
  void attention(long seed, int queries, int keys, boolean causal, int window) {
    try (var c = check(seed)) {
      int batch = c.size(2);
      int keyHeads = c.size(2);
      int queryHeads = keyHeads * c.size(2);
      int size = c.size(4);
      var shape =
          new Attention(batch, queries, keys, queryHeads, keyHeads, size, 0.6, causal, window);
      var sight = new Sight(c.mask(batch, keys), null, false);
      c.input((long) batch * queries, (long) queryHeads * size)
          .input((long) batch * keys, (long) keyHeads * size)
          .input((long) batch * keys, (long) keyHeads * size)
          .input(queryHeads, queries, keys)
          .agree(
              (t, x) ->
                  List.of(Attend.apply(t, shape, x.get(0), x.get(1), x.get(2), sight, x.get(3))));
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2})
  void attentionWithoutMaskOrBias(long seed) {
    try (var c = check(seed)) {
      var shape = new Attention(2, 3, 3, 2, 1, 2, 0.7, true, 0);
      c.input(6, 4)
          .input(6, 2)
          .input(6, 2)
          .agree(
              (t, x) -> List.of(Attend.apply(t, shape, x.get(0), x.get(1), x.get(2), null, null)));
    }
  }

  @ParameterizedTest
  @EnumSource
  void balanceLoss(BalanceForm form) {
    for (long seed = 1; seed <= 3; seed++) {
      try (var c = check(seed)) {
        int tokens = c.size(5);
        int experts = 2 + c.size(3);
        int other = form == BalanceForm.POOLED ? experts : experts + 1;
        List<Array> chosen = List.of(c.choices(tokens, 2, experts), c.choices(tokens, 2, other));
        Array mask = seed == 3 ? null : c.mask(tokens);
        c.positive(tokens, experts)
            .positive(tokens, other)
            .agree((t, x) -> List.of(BalanceLoss.apply(t, x, chosen, mask, form, experts)));
      }
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void crossEntropy(long seed) {
    try (var c = check(seed)) {
      int rows = 2 + c.size(4);
      int vocabulary = 1 + c.size(6);
      int[] targets = b.toInts(c.ints(vocabulary, rows));
      targets[1] = -100;
      Array labels = c.ints(targets, rows);
      c.input(rows, vocabulary)
          .agree((t, x) -> List.of(CrossEntropy.apply(t, x.getFirst(), labels, rows - 1)));
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void projectionOfStackedPartsWithBiases(long seed) {
    try (var c = check(seed)) {
      int in = c.size(5);
      int first = c.size(4);
      int second = c.size(3);
      Weight biased =
          c.weight(
              List.of(c.parameter(first, in), c.parameter(second, in)),
              List.of(c.parameter(first), c.parameter(second)));
      Weight bare = c.weight(List.of(c.parameter(second, in)), List.of());
      c.input(c.size(5), in)
          .agree(
              (t, x) ->
                  List.of(
                      Project.apply(t, x.getFirst(), biased),
                      Project.apply(t, x.getFirst(), bare)));
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void groupedProjection(long seed) {
    try (var c = check(seed)) {
      int tokens = c.size(5);
      int experts = 2 + c.size(2);
      int in = c.size(4);
      int out = c.size(3);
      List<Weight> weights = new ArrayList<>();
      for (int e = 0; e < experts; e++) {
        weights.add(
            c.weight(List.of(c.parameter(out, in), c.parameter(out, in)), List.of())); // gate, up
      }
      Array chosen = c.choices(tokens, 2, experts);
      c.input(2L * tokens, in)
          .agree(
              (t, x) ->
                  List.of(
                      GroupedProject.apply(
                          t, x.getFirst(), b.dispatch(t.arena(), chosen, experts), weights)));
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void norms(long seed) {
    try (var c = check(seed)) {
      int width = 1 + c.size(5);
      Parameter weight = c.parameter(width);
      Parameter bias = c.parameter(width);
      Parameter scale = c.parameter(width);
      c.input(c.size(4), width)
          .agree(
              (t, x) ->
                  List.of(
                      LayerNorm.apply(t, x.getFirst(), weight, bias, 1e-2),
                      RmsNorm.apply(t, x.getFirst(), scale, 1e-2)));
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void routing(long seed) {
    try (var c = check(seed)) {
      int tokens = c.size(5);
      int experts = 1 + c.size(4);
      int width = c.size(4);
      Array chosen = c.choices(tokens, 2, experts);
      c.input(tokens, experts)
          .input(tokens, width)
          .agree(
              (t, x) -> {
                Dispatch dispatch = b.dispatch(t.arena(), chosen, experts);
                Tensor p = Route.probabilities(t, x.get(0));
                Tensor weights = Route.weights(t, p, chosen, true);
                Tensor rows = Route.permute(t, x.get(1), dispatch);
                return List.of(
                    p,
                    Route.weights(t, p, chosen, false),
                    Route.combine(t, rows, weights, dispatch));
              });
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void rows(long seed) {
    try (var c = check(seed)) {
      int width = c.size(4);
      int table = 1 + c.size(4);
      int taken = 1 + c.size(6);
      Array numbers = c.ints(table, taken);
      Array places = c.different(2, taken);
      c.input(table, width)
          .input(2, width)
          .agree(
              (t, x) -> {
                Tensor rows = Rows.gather(t, x.get(0), numbers);
                Tensor replaced = Rows.replace(t, rows, places, x.get(1));
                return List.of(replaced, Rows.join(t, List.of(x.get(1), rows, x.get(0))));
              });
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void columnsAndShapes(long seed) {
    try (var c = check(seed)) {
      int rows = c.size(4);
      int width = 2 + c.size(4);
      c.input(rows, width)
          .input(rows, 3)
          .input(width)
          .agree(
              (t, x) -> {
                Tensor taken = Columns.take(t, x.get(0), 1, width);
                Tensor joined = Columns.join(t, List.of(taken, x.get(1), x.get(0)));
                return List.of(
                    joined,
                    Reshape.apply(t, x.get(1), 3, rows),
                    ScaleColumns.apply(t, x.get(0), x.get(2)));
              });
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void mixedRows(long seed) {
    try (var c = check(seed)) {
      int table = 2 + c.size(5);
      int results = c.size(4);
      int each = c.size(3);
      int[] rows = b.toInts(c.ints(table, (long) results * each));
      double[] weights = new double[rows.length];
      for (int i = 0; i < weights.length; i++) {
        weights[i] = i % 3 == 1 ? 0 : 0.3 * i - 1;
      }
      var mixture = new Mixture(table, each, rows, weights);
      c.input(2L * table, c.size(4))
          .agree((t, x) -> List.of(MixRows.apply(t, x.getFirst(), mixture.repeated(2))));
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void splitHeads(boolean rotated) {
    for (long seed = 1; seed <= 3; seed++) {
      try (var c = check(seed)) {
        int rows = c.size(4);
        int keyHeads = c.size(2);
        int queryHeads = keyHeads * c.size(2);
        int size = 2 * c.size(2);
        var shape = new Attention(1, rows, rows, queryHeads, keyHeads, size, 1, true, 0);
        SplitHeads.Rotation rotation =
            rotated
                ? new SplitHeads.Rotation(
                    c.ints(rows, rows), c.numbers(rows, size / 2), c.numbers(rows, size / 2))
                : null;
        c.input(rows, (queryHeads + 2L * keyHeads) * size)
            .agree((t, x) -> SplitHeads.apply(t, x.getFirst(), shape, rotation));
      }
    }
  }

  @Test
  void aCastHandsTheGradientBackInTheTypeItCameFrom() {
    try (Arena arena = b.arena("cast")) {
      var p =
          new Parameter(
              "p", Role.BACKBONE, b.doubles(arena, DType.F64, new double[] {1, -2}, 1, 2));
      p.trainable(true);
      List<Object> got = new ArrayList<>();
      Tape tape =
          Tape.recording(
              b,
              arena,
              (parameter, d) -> {
                got.add(d.dtype());
                got.add(b.toFloats(arena, d));
              });
      Tensor narrow = Cast.apply(tape, p, DType.F32);
      assertThat(narrow.data().dtype()).isEqualTo(DType.F32);
      assertThat(Cast.apply(tape, narrow, DType.F32)).isSameAs(narrow);
      tape.backward(narrow, b.floats(arena, DType.F32, new float[] {0.5f, 3}, 1, 2));
      assertThat(got).containsExactly(DType.F64, new float[] {0.5f, 3});
    }
  }
}
