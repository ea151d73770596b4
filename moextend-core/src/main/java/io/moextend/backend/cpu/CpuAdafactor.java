package io.moextend.backend.cpu;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.array.ShapeException;
import io.moextend.backend.AdafactorKernels;
import java.lang.foreign.ValueLayout;

/** Sums go by chunks and rows, whose parts are added in their order: the same bits always. */
interface CpuAdafactor extends AdafactorKernels {
  CpuDevice cpu();

  @Override
  default Array squaresInto(Arena to, Array v, Array gradient, Squares how) {
    CpuArray kept = CpuArray.into(CpuArray.of(v, DType.F32));
    CpuArray g = CpuArray.of(gradient, DType.F32);
    sameSize(v, gradient);
    float s = (float) how.gradientScale();
    float decay = (float) how.decay();
    float mixing = (float) how.mixing();
    float eps = (float) how.eps();
    double[] sums = new double[CpuDevice.count(Math.ceilDiv(v.size(), CpuDevice.CHUNK))];
    cpu()
        .forChunks(
            v.size(),
            (lane, first, n) -> {
              Operand a = Operand.in(lane, 0, kept, first, n);
              Operand b = Operand.in(lane, 1, g, first, n);
              sums[(int) (first / CpuDevice.CHUNK)] +=
                  AdafactorLoops.squares(a.address(), b.address(), s, decay, mixing, eps, n);
              a.finish(lane, kept, first, n);
            });
    return total(to, sums);
  }

  @Override
  default void moveInto(Array master, Array v, Array gradient, Array sums, Move how) {
    CpuArray weights = CpuArray.into(CpuArray.of(master, DType.F32));
    CpuArray kept = CpuArray.of(v, DType.F32);
    CpuArray g = CpuArray.of(gradient, DType.F32);
    sameSize(master, v);
    sameSize(master, gradient);
    float by = (float) (rate(sums, how) * how.gradientScale());
    cpu()
        .forChunks(
            master.size(),
            (lane, first, n) -> {
              Operand w = Operand.in(lane, 0, weights, first, n);
              Operand a = Operand.in(lane, 1, kept, first, n);
              a.pad(n, 1);
              Operand b = Operand.in(lane, 2, g, first, n);
              AdafactorLoops.move(w.address(), a.address(), b.address(), by, n);
              w.finish(lane, weights, first, n);
            });
  }

  @Override
  default Array factoredSquaresInto(
      Arena to, Array rows, Array columns, Array gradient, Squares how) {
    CpuArray r = CpuArray.into(CpuArray.of(rows, DType.F32));
    CpuArray c = CpuArray.into(CpuArray.of(columns, DType.F32));
    CpuArray g = CpuArray.of(gradient, DType.F32);
    gradient.require("gradient", rows.size(), columns.size());
    int width = CpuDevice.count(c.size());
    double[] alongColumns = new double[width];
    double[] alongRows = FactoredSums.squares(cpu(), to, g, how.gradientScale(), alongColumns);
    mix(r, alongRows, width, how);
    mix(c, alongColumns, alongRows.length, how);
    double mean = mean(r);
    CpuArray roots = inverseRoots(to, c);
    float s = (float) how.gradientScale();
    double[] sums = new double[alongRows.length];
    FactoredSums.eachStretch(
        cpu(),
        sums.length,
        width,
        (lane, row, first, n) -> {
          Operand x = Operand.in(lane, 0, g, (long) row * width + first, n);
          float sum = AdafactorLoops.weighted(x.address(), s, roots.address(first), n);
          sums[row] += sum * (mean / r.floatAt(row));
        });
    to.free(roots);
    return total(to, sums);
  }

  @Override
  default void factoredMoveInto(
      Array master, Array rows, Array columns, Array gradient, Array sums, Move how) {
    CpuArray weights = CpuArray.into(CpuArray.of(master, DType.F32));
    CpuArray r = CpuArray.of(rows, DType.F32);
    CpuArray c = CpuArray.of(columns, DType.F32);
    CpuArray g = CpuArray.of(gradient, DType.F32);
    master.require("master", rows.size(), columns.size());
    gradient.require("gradient", rows.size(), columns.size());
    double by = rate(sums, how) * how.gradientScale();
    double mean = mean(r);
    int width = CpuDevice.count(c.size());
    try (Arena scratch = new Arena("adafactor", cpu().memory())) {
      CpuArray roots = inverseRoots(scratch, c);
      FactoredSums.eachStretch(
          cpu(),
          CpuDevice.count(r.size()),
          width,
          (lane, row, first, n) -> {
            long at = (long) row * width + first;
            float step = (float) (by * Math.sqrt(mean / r.floatAt(row)));
            Operand w = Operand.in(lane, 0, weights, at, n);
            Operand x = Operand.in(lane, 1, g, at, n);
            AdafactorLoops.moveWeighted(w.address(), x.address(), step, roots.address(first), n);
            w.finish(lane, weights, at, n);
          });
    }
  }

  /** kept = decay·kept + mixing·(sum / count + eps) */
  private static void mix(CpuArray kept, double[] sums, int count, Squares how) {
    for (int i = 0; i < sums.length; i++) {
      double mean = sums[i] / count + how.eps();
      kept.setFloat(i, (float) (how.decay() * kept.floatAt(i) + how.mixing() * mean));
    }
  }

  private static double mean(CpuArray values) {
    double sum = 0;
    for (long i = 0; i < values.size(); i++) {
      sum += values.floatAt(i);
    }
    return sum / values.size();
  }

  /** 1 / √c, with zeros up to whole vectors. */
  private static CpuArray inverseRoots(Arena to, CpuArray c) {
    int n = CpuDevice.count(c.size());
    CpuArray roots = CpuDevice.allocate(to, DType.F32, Floats.padded(n));
    roots.clear(0, roots.size());
    for (int i = 0; i < n; i++) {
      roots.setFloat(i, (float) (1 / Math.sqrt(c.floatAt(i))));
    }
    return roots;
  }

  private static double rate(Array sums, Move how) {
    CpuArray both = CpuArray.of(sums.require("sums", 2), DType.F64);
    return how.rate(number(both, 0), number(both, 1));
  }

  private static double number(CpuArray doubles, int i) {
    return CpuArray.ALL.get(ValueLayout.JAVA_DOUBLE_UNALIGNED, doubles.address(i));
  }

  private static Array total(Arena to, double[] parts) {
    CpuArray out = CpuDevice.allocate(to, DType.F64, 1);
    double sum = 0;
    for (double part : parts) {
      sum += part;
    }
    CpuArray.ALL.set(ValueLayout.JAVA_DOUBLE_UNALIGNED, out.address(), sum);
    return out;
  }

  private static void sameSize(Array a, Array b) {
    if (a.size() != b.size()) {
      throw new ShapeException("%s and %s are not of one size".formatted(a, b));
    }
  }
}
