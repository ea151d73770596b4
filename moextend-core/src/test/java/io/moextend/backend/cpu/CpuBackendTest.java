package io.moextend.backend.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.Activation;
import io.moextend.backend.AttentionKernels.Attention;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider.Options;
import io.moextend.backend.Backends;
import io.moextend.backend.Dispatch;
import io.moextend.backend.Matrix;
import io.moextend.backend.MatrixKernels.Addend;
import io.moextend.backend.MatrixKernels.Share;
import io.moextend.backend.UpdateKernels.AdamStep;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What is this backend's own; that its kernels are right is in the contract of all backends. */
class CpuBackendTest {
  private Backend backend;
  private Arena arena;

  @BeforeEach
  @SuppressWarnings("MustBeClosedChecker") // closed after each test
  void open() {
    backend = Backends.open("cpu", new Options(2, 0));
    arena = backend.arena("test");
  }

  @AfterEach
  void close() {
    arena.close();
    backend.close();
  }

  @Test
  void itSaysWhatItRunsOn() {
    assertThat(backend.device()).startsWith("oneDNN ").contains("2 threads");
    assertThat(backend.computeTypes()).containsExactlyInAnyOrder(DType.F32, DType.BF16);
  }

  @ParameterizedTest
  @EnumSource(names = {"F32", "BF16"})
  void theNumberOfThreadsDoesNotChangeABit(DType type) {
    List<double[]> one = everything(1, type);
    for (int threads : new int[] {2, 3, 5}) {
      List<double[]> many = everything(threads, type);
      for (int i = 0; i < one.size(); i++) {
        assertThat(many.get(i)).as("result %d with %d threads", i, threads).isEqualTo(one.get(i));
      }
    }
  }

  @Test
  void everyKernelWritesAllOfItsResult() {
    List<double[]> clean = everything(2, DType.BF16);
    for (int size = 64; size <= 1 << 20; size += Math.max(64, size / 4)) {
      for (int i = 0; i < 8; i++) {
        backend.fillInto(arena.allocate(DType.F32, size / 4), Double.NaN);
      }
    }
    arena.close(); // NaN everywhere in the idle blocks
    arena = backend.arena("dirty");
    List<double[]> dirty = everything(backend, DType.BF16);
    for (int i = 0; i < clean.size(); i++) {
      assertThat(dirty.get(i)).as("result %d", i).isEqualTo(clean.get(i));
    }
  }

  /** Results of most kernels on sizes with tails, as one list. */
  private List<double[]> everything(int threads, DType type) {
    try (Backend other = Backends.open("cpu", new Options(threads, 0))) {
      return everything(other, type);
    }
  }

  private List<double[]> everything(Backend b, DType type) {
    var results = new ArrayList<Array>();
    var read = new ArrayList<double[]>();
    try (var to = b.arena("everything")) {
      Array x = Numbers.random(b, to, type, 1, 333, 210);
      Array y = Numbers.random(b, to, type, 2, 333, 210);
      Array weight = Numbers.random(b, to, type, 3, 210);
      results.add(b.addScaled(to, x, y, 0.3));
      results.add(b.gated(to, Activation.SILU, x));
      results.add(b.activation(to, Activation.GELU, x));
      results.add(b.sumRows(to, x));
      results.add(b.sumOfSquares(to, x));
      var normed = b.rmsNorm(to, x, weight, 1e-6);
      results.add(normed.out());
      results.add(b.rmsNormBackward(to, y, x, weight, normed));
      results.add(b.rmsNormWeightGradient(to, y, x, normed));
      Array wide = b.cast(to, x, DType.F32);
      Array probabilities = b.softmax(to, wide);
      Array chosen = b.topK(to, probabilities, 2);
      Dispatch dispatch = b.dispatch(to, b.topK(to, b.columns(to, probabilities, 0, 5), 2), 5);
      Array rows = b.permute(to, x, dispatch);
      Array picked = b.pick(to, probabilities, chosen, true);
      results.add(b.combine(to, rows, picked, dispatch));
      products(b, to, type, x, rows, dispatch, results);
      attention(b, to, type, results);
      var loss = b.crossEntropy(to, x, b.ints(to, new int[333], 333), 333);
      results.add(loss.loss());
      Array master = Numbers.random(b, to, DType.F32, 8, 70_001);
      Array m = b.cast(to, master, DType.F32);
      Array v = b.cast(to, master, DType.F32);
      b.fillInto(v, 1);
      b.adamInto(master, m, v, master, new AdamStep(3, 1e-3, 0.9, 0.999, 1e-8, 0.1, 0.5));
      results.add(master);
      results.forEach(r -> read.add(Numbers.of(b, r)));
    }
    return read;
  }

  private static void products(
      Backend b,
      Arena to,
      DType type,
      Array x,
      Array rows,
      Dispatch dispatch,
      List<Array> results) {
    var experts = new ArrayList<Matrix>();
    for (int e = 0; e < 5; e++) {
      experts.add(b.matrix(List.of(Numbers.random(b, to, type, 10 + e, 270, 210)), e % 2 == 0));
    }
    Array out = b.groupedProduct(to, rows, dispatch, experts);
    results.add(out);
    results.add(b.groupedProductTransposed(to, out, dispatch, experts));
    results.add(b.groupedWeightGradient(to, out, 0, 270, rows, dispatch, 2));
    Array y = b.product(to, x, experts.getFirst(), null, type);
    results.add(y);
    results.add(b.weightGradient(to, y, 5, 200, x));
    Array h = Numbers.random(b, to, type, 20, 333, 16);
    Matrix down = b.matrix(List.of(Numbers.random(b, to, type, 21, 16, 210)), false);
    Matrix up = b.matrix(List.of(Numbers.random(b, to, type, 22, 16, 150)), false);
    var addends = List.of(new Addend(100, h, up));
    results.add(b.productWith(to, x, experts.getFirst(), null, addends));
    var shares = List.of(new Share(y, experts.getFirst()), new Share(h, down));
    results.add(b.sumTransposed(to, null, shares));
    results.add(b.sumTransposed(to, x, shares));
    down.close();
    up.close();
    experts.forEach(Matrix::close);
  }

  private static void attention(Backend b, Arena to, DType type, List<Array> results) {
    attention(b, to, type, new Attention(2, 75, 90, 4, 2, 24, 0.2, true, 0), null, results);
    Array byDistance = Numbers.random(b, to, DType.F32, 9, 16, 256 + 90 - 1);
    Array bias = b.biasByDistance(to, byDistance, 256, 90); // 16 heads: each has its keys alone
    results.add(bias);
    attention(b, to, type, new Attention(2, 256, 90, 16, 16, 24, 0.2, false, 0), bias, results);
  }

  private static void attention(
      Backend b, Arena to, DType type, Attention shape, @Nullable Array bias, List<Array> results) {
    long queries = (long) shape.batch() * shape.queries();
    long keys = (long) shape.batch() * shape.keys();
    long width = (long) shape.keyHeads() * shape.headSize();
    Array q = Numbers.random(b, to, type, 5, queries, (long) shape.queryHeads() * shape.headSize());
    Array k = Numbers.random(b, to, type, 6, keys, width);
    Array v = Numbers.random(b, to, type, 7, keys, width);
    var attended = b.attend(to, shape, q, k, v, null, bias);
    var d = b.attendBackward(to, shape, q, q, k, v, attended, null, bias, bias == null);
    results.add(attended.out());
    results.add(attended.logSumExp());
    results.addAll(List.of(d.dQ(), d.dK(), d.dV()));
    if (d.dBias() != null) {
      results.add(d.dBias());
    }
  }
}
