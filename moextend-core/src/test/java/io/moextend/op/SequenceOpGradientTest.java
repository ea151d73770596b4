package io.moextend.op;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.AttentionKernels.Attention;
import io.moextend.backend.AttentionKernels.Sight;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider.Options;
import io.moextend.backend.Backends;
import io.moextend.backend.LossKernels.Weighting;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** As {@link OpGradientTest}: the ops of an encoder-decoder. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class SequenceOpGradientTest {
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
  @ValueSource(longs = {1, 2})
  void productsAndCuts(long seed) {
    try (var c = check(seed)) {
      int rows = 2 + c.size(3);
      int left = c.size(3);
      int right = c.size(4);
      Array some = c.different(2, rows);
      c.input(rows, left + right)
          .input(rows, left)
          .agree(
              (t, x) -> {
                List<Tensor> parts = Columns.split(t, x.get(0), left, right);
                return List.of(
                    Multiply.apply(t, parts.get(0), x.get(1)),
                    Scale.apply(t, parts.get(1), -0.3),
                    Rows.clear(t, x.get(1), some));
              });
    }
  }

  @Test
  void aPartThatNobodyUsesGetsZeros() {
    try (var c = check(7)) {
      c.input(3, 5).agree((t, x) -> List.of(Columns.split(t, x.getFirst(), 2, 3).get(1)));
    }
  }

  @ParameterizedTest
  @CsvSource({"1, 3, 3", "2, 2, 5", "3, 4, 1"})
  void relativeBias(long seed, int queries, int keys) {
    try (var c = check(seed)) {
      Parameter table = c.parameter(4, c.size(3));
      int[] buckets = new int[queries * keys];
      for (int i = 0; i < buckets.length; i++) {
        buckets[i] = (i * 7 + 2) % 3; // the fourth is never used
      }
      c.agree((t, x) -> List.of(RelativeBias.apply(t, table, buckets, queries, keys)));
    }
  }

  @ParameterizedTest
  @CsvSource({"1, true", "2, false"})
  void attentionOfSegments(long seed, boolean uniform) {
    try (var c = check(seed)) {
      var shape = new Attention(2, 4, 4, 2, 2, c.size(3), 1, false, 0);
      Array keys = mask(c, 1, 1, 2, 0, 1, 2, 2, 3);
      Array queries = mask(c, 1, 2, 2, 0, 1, 2, 4, 3);
      long width = 2L * shape.headSize();
      c.input(8, width)
          .input(8, width)
          .input(8, width)
          .input(2, 4, 4)
          .agree(
              (t, x) ->
                  List.of(
                      Attend.apply(
                          t,
                          shape,
                          x.get(0),
                          x.get(1),
                          x.get(2),
                          new Sight(keys, queries, uniform),
                          x.get(3))));
    }
  }

  private static Array mask(GradientCheck c, int... numbers) {
    byte[] bytes = new byte[numbers.length];
    for (int i = 0; i < bytes.length; i++) {
      bytes[i] = (byte) numbers[i];
    }
    return c.bytes(bytes, 2, numbers.length / 2);
  }

  @ParameterizedTest
  @CsvSource({"0, 0", "0.02, 0", "0.02, 0.1"})
  void weightedCrossEntropy(double zLoss, double smoothing) {
    try (var c = check(11)) {
      Array targets = c.ints(new int[] {2, -1, 0, 3}, 4);
      var weighting = new Weighting(c.numbers(4), zLoss, smoothing, 1.7);
      c.input(4, 5)
          .agree(
              (t, x) ->
                  List.of(WeightedCrossEntropy.apply(t, x.getFirst(), targets, weighting).loss()));
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2})
  void dropout(long seed) {
    try (var c = check(seed)) {
      var dropout = new Dropout(0.4, seed);
      c.input(6, 4)
          .agree(
              (t, x) ->
                  List.of(
                      dropout.at("features").features(t, x.getFirst(), 3),
                      dropout.at("values").values(t, x.getFirst(), 2)));
    }
  }

  @Test
  void masksAreSharedByThePositionsOfASequenceAndFollowFromSeedAndPlace() {
    try (Backend cpu = Backends.open("cpu", new Options(1, 0));
        Arena arena = cpu.arena("test")) {
      int batch = 20;
      int length = 3;
      int width = 100;
      Array ones = arena.allocate(DType.F32, (long) batch * length, width);
      cpu.fillInto(ones, 1);
      Tape tape = Tape.off(cpu, arena);
      Tensor x = Tensor.constant(ones);
      var dropout = new Dropout(0.1, 5);
      float[] y = values(cpu, arena, dropout.at("a").features(tape, x, length));
      int dropped = 0;
      for (int i = 0; i < y.length; i++) {
        int sequence = i / (length * width);
        assertThat(y[i]).isEqualTo(y[sequence * length * width + i % width]);
        assertThat(y[i]).isIn(0f, (float) (1 / 0.9));
        dropped += y[i] == 0 ? 1 : 0;
      }
      assertThat((double) dropped / y.length).isBetween(0.08, 0.12);
      assertThat(values(cpu, arena, dropout.at("a").features(tape, x, length))).isEqualTo(y);
      assertThat(values(cpu, arena, dropout.at("b").features(tape, x, length))).isNotEqualTo(y);
      float[] v = values(cpu, arena, dropout.values(tape, x, 4));
      for (int i = 0; i < v.length; i++) {
        assertThat(v[i]).isEqualTo(v[i - i % 25]).isIn(0f, (float) (1 / 0.9));
      }
      assertThat(new Dropout(0, 5).features(tape, x, length)).isSameAs(x);
    }
  }

  private static float[] values(Backend backend, Arena arena, Tensor tensor) {
    return backend.toFloats(arena, tensor.data());
  }
}
