package io.moextend.backend.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.Activation;
import io.moextend.backend.AttentionKernels.Attention;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider.Options;
import io.moextend.backend.Backends;
import io.moextend.backend.Dispatch;
import io.moextend.backend.Matrix;
import io.moextend.backend.UpdateKernels.AdamStep;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What is this backend's own; that its kernels are right is in the contract of all backends. */
class CpuBackendTest {
  private static final long SEED = 4711;

  private Backend backend;
  private io.moextend.array.Arena arena;

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
  void productsOfAnyRowCountAgreeWithPlainLoops(DType type) {
    int in = 37;
    int out = 300; // more than a panel
    Array w = random(backend, arena, type, 1, out, in);
    double[] weights = values(w);
    try (Matrix matrix = backend.matrix(List.of(w), true)) {
      for (int rows : new int[] {1, 2, 15, 16, 17, 31, 33, 100, 127, 128, 129, 143, 144, 271}) {
        Array x = random(backend, arena, type, rows, rows, in);
        double[] got = values(backend.product(arena, x, matrix, null, DType.F32));
        double[] a = values(x);
        for (int r = 0; r < rows; r++) {
          for (int o = 0; o < out; o++) {
            double want = 0;
            for (int i = 0; i < in; i++) {
              want += a[r * in + i] * weights[o * in + i];
            }
            assertThat(Math.abs(got[r * out + o] - want))
                .as("%d rows, [%d, %d], seed %d", rows, r, o, SEED)
                .isLessThan(1e-4);
          }
        }
      }
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"F32", "BF16"})
  void aWeightGradientReadsNoRowBeyondItsExpert(DType type) {
    int rows = 37;
    int width = 20;
    float[] ones = new float[3 * rows * width];
    java.util.Arrays.fill(ones, Float.NaN);
    java.util.Arrays.fill(ones, rows * width, 2 * rows * width, 1f);
    Array all = backend.floats(arena, type, ones, 3L * rows, width);
    Array middle = all.slice(rows, 2L * rows);
    assertThat(values(backend.weightGradient(arena, middle, 3, 17, middle)))
        .hasSize(14 * width)
        .containsOnly(rows);
  }

  @Test
  void aMatrixReadsItsPartsWhereTheyLie() {
    Array w = random(backend, arena, DType.BF16, 1, 512, 512);
    Array x = random(backend, arena, DType.BF16, 2, 20, 512);
    long before = backend.memory().liveBytes();
    try (Matrix matrix = backend.matrix(List.of(w), true)) {
      Array y = backend.product(arena, x, matrix, null, DType.BF16);
      Array back = backend.productTransposed(arena, y, matrix);
      assertThat(backend.memory().liveBytes() - before).isLessThan(4 * 20 * 512 * 2);
      arena.free(y);
      arena.free(back);
      arena.free(w);
      assertThatThrownBy(() -> backend.product(arena, x, matrix, null, DType.BF16))
          .hasMessageContaining("was freed");
      matrix.close();
      assertThatThrownBy(() -> backend.product(arena, x, matrix, null, DType.BF16))
          .hasMessageContaining("was closed");
    }
  }

  @Test
  void aTrainableMatrixFollowsItsPartsAfterARefresh() {
    Array w = random(backend, arena, DType.F32, 1, 5, 3);
    Array x = backend.floats(arena, DType.F32, new float[] {1, 1, 1}, 1, 3);
    try (Matrix matrix = backend.matrix(List.of(w), false)) {
      backend.product(arena, x, matrix, null, DType.F32);
      backend.fillInto(w, 2);
      matrix.refresh();
      assertThat(values(backend.product(arena, x, matrix, null, DType.F32))).containsOnly(6);
      Array dY = backend.floats(arena, DType.F32, new float[] {1, 1, 1, 1, 1}, 1, 5);
      assertThat(values(backend.productTransposed(arena, dY, matrix))).containsOnly(10);
    }
  }

  @Test
  void mappedMemoryIsReadInPlaceEvenUnalignedAndNeverWritten() {
    Array w;
    try (Arena mapped = Arena.ofShared()) {
      MemorySegment memory = mapped.allocate(4 * 12 + 1).asSlice(1);
      for (int i = 0; i < 12; i++) {
        memory.set(ValueLayout.JAVA_FLOAT_UNALIGNED, 4L * i, i);
      }
      long before = backend.memory().liveBytes();
      w = backend.wrap(arena, DType.F32, memory, 4, 3);
      assertThat(backend.memory().liveBytes()).isEqualTo(before);
      Array x = backend.floats(arena, DType.F32, new float[] {1, 0, 2}, 1, 3);
      try (Matrix matrix = backend.matrix(List.of(w), true)) {
        assertThat(values(backend.product(arena, x, matrix, null, DType.F32)))
            .containsExactly(4, 13, 22, 31);
      }
      Array shown = w;
      assertThatThrownBy(() -> backend.fillInto(shown, 0)).hasMessageContaining("read-only");
    }
    assertThat(w.isLive()).isFalse();
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

  @Test
  void attentionTakesMemoryInProportionToTheSequence() {
    assertThat(bytesOfAttention(8192)).isLessThan(21 * bytesOfAttention(4096) / 10);
    assertThat(bytesOfAttention(8192)).isLessThan(8192L * 8192 / 4);
  }

  @ParameterizedTest
  @EnumSource(names = {"F32", "BF16"})
  void aQueryThatIsNotANumberIsSeenInItsResultAlone(DType type) {
    var shape = new Attention(1, 70, 70, 2, 1, 16, 0.25, true, 0);
    Array q = random(backend, arena, type, 1, 70, 32);
    backend.fillInto(q.slice(40, 41), Double.NaN);
    Array k = random(backend, arena, type, 2, 70, 16);
    var attended = backend.attend(arena, shape, q, k, k, null, null);
    var d = backend.attendBackward(arena, shape, q, q, k, k, attended, null, null, false);
    double[] out = values(attended.out());
    for (int i = 0; i < out.length; i++) {
      assertThat(Double.isNaN(out[i])).as("[%d, %d]", i / 32, i % 32).isEqualTo(i / 32 == 40);
    }
    assertThat(values(d.dQ())).contains(Double.NaN);
  }

  private long bytesOfAttention(int length) {
    var shape = new Attention(1, length, length, 1, 1, 16, 0.25, true, 0);
    try (var own = backend.arena("attention")) {
      Array q = random(backend, own, DType.BF16, 1, length, 16);
      long before = backend.memory().liveBytes();
      backend.memory().resetPeak();
      var attended = backend.attend(own, shape, q, q, q, null, null);
      backend.attendBackward(own, shape, q, q, q, q, attended, null, null, false);
      return backend.memory().peakBytes() - before;
    }
  }

  @Test
  void twoHundredStepsLeaveNoMemoryBehind() {
    long live = backend.memory().liveBytes();
    long idle = 0;
    for (int step = 0; step < 200; step++) {
      try (var own = backend.arena("step")) {
        Array x = random(backend, own, DType.BF16, step, 20 + step % 30, 64);
        Array w = random(backend, own, DType.BF16, 1, 64, 64);
        try (Matrix matrix = backend.matrix(List.of(w), step % 2 == 0)) {
          Array y = backend.product(own, x, matrix, null, DType.BF16);
          backend.productTransposed(own, y, matrix);
          backend.weightGradient(own, y, 0, 64, x);
        }
      }
      assertThat(backend.memory().liveBytes()).isEqualTo(live);
      if (step == 100) {
        idle = ((CpuMemory) backend.memory()).idleBytes();
      }
    }
    assertThat(((CpuMemory) backend.memory()).idleBytes()).isEqualTo(idle);
  }

  @Test
  void productsWithoutBf16UnitsAgreeWithThoseThatHaveThem() {
    CpuDevice cpu = ((CpuBackend) backend).cpu();
    CpuArray x = (CpuArray) random(backend, arena, DType.BF16, 1, 32, 40);
    CpuArray w = (CpuArray) random(backend, arena, DType.BF16, 2, 40, 24);
    CpuArray bias = (CpuArray) random(backend, arena, DType.BF16, 3, 24);
    for (DType result : List.of(DType.F32, DType.BF16)) {
      var shape =
          new Gemm.Shape(
              32,
              40,
              24,
              DType.BF16,
              result,
              new Gemm.Layout(40, 1),
              new Gemm.Layout(24, 1),
              24,
              true,
              false);
      CpuArray usual = CpuDevice.allocate(arena, result, 32, 24);
      CpuArray wide = CpuDevice.allocate(arena, result, 32, 24);
      cpu.workers()
          .run(
              1,
              (lane, i) -> {
                lane.gemm()
                    .multiply(shape, x.address(), w.address(), bias.address(), usual.address());
                WideProduct.multiply(
                    lane.gemm(),
                    lane,
                    shape,
                    x.address(),
                    w.address(),
                    bias.address(),
                    wide.address());
              });
      double[] want = values(usual);
      double[] got = values(wide);
      for (int i = 0; i < want.length; i++) {
        double allowed = result == DType.F32 ? 1e-4 : Math.abs(want[i]) * 0x1p-7 + 1e-4;
        assertThat(Math.abs(got[i] - want[i])).as("%s %d", result, i).isLessThan(allowed);
      }
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
      Array x = random(b, to, type, 1, 333, 210);
      Array y = random(b, to, type, 2, 333, 210);
      Array weight = random(b, to, type, 3, 210);
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
      Array master = random(b, to, DType.F32, 8, 70_001);
      Array m = b.cast(to, master, DType.F32);
      Array v = b.cast(to, master, DType.F32);
      b.fillInto(v, 1);
      b.adamInto(master, m, v, master, new AdamStep(3, 1e-3, 0.9, 0.999, 1e-8, 0.1, 0.5));
      results.add(master);
      results.forEach(r -> read.add(values(b, r)));
    }
    return read;
  }

  private static void products(
      Backend b,
      io.moextend.array.Arena to,
      DType type,
      Array x,
      Array rows,
      Dispatch dispatch,
      List<Array> results) {
    var experts = new ArrayList<Matrix>();
    for (int e = 0; e < 5; e++) {
      experts.add(b.matrix(List.of(random(b, to, type, 10 + e, 270, 210)), e % 2 == 0));
    }
    Array out = b.groupedProduct(to, rows, dispatch, experts);
    results.add(out);
    results.add(b.groupedProductTransposed(to, out, dispatch, experts));
    results.add(b.groupedWeightGradient(to, out, 0, 270, rows, dispatch, 2));
    Array y = b.product(to, x, experts.getFirst(), null, type);
    results.add(y);
    results.add(b.weightGradient(to, y, 5, 200, x));
    experts.forEach(Matrix::close);
  }

  private static void attention(
      Backend b, io.moextend.array.Arena to, DType type, List<Array> results) {
    var shape = new Attention(2, 75, 90, 4, 2, 24, 0.2, true, 0);
    Array q = random(b, to, type, 5, 150, 96);
    Array k = random(b, to, type, 6, 180, 48);
    Array v = random(b, to, type, 7, 180, 48);
    var attended = b.attend(to, shape, q, k, v, null, null);
    var d = b.attendBackward(to, shape, q, q, k, v, attended, null, null, true);
    results.add(attended.out());
    results.add(attended.logSumExp());
    results.addAll(List.of(d.dQ(), d.dK(), d.dV()));
    if (d.dBias() != null) {
      results.add(d.dBias());
    }
  }

  private static Array random(
      Backend b, io.moextend.array.Arena to, DType type, long seed, long... shape) {
    float[] values = new float[Math.toIntExact(Array.sizeOf(shape))];
    Random random = new Random(SEED + seed);
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return b.floats(to, type, values, shape);
  }

  private double[] values(Array array) {
    return values(backend, array);
  }

  private static double[] values(Backend b, Array array) {
    if (array.dtype() == DType.F64) {
      return new double[] {b.toDouble(array)};
    }
    try (var scratch = b.arena("values")) {
      float[] floats = b.toFloats(scratch, array);
      double[] values = new double[floats.length];
      for (int i = 0; i < values.length; i++) {
        values[i] = floats[i];
      }
      return values;
    }
  }
}
