package io.moextend.backend.cpu;

import io.moextend.array.DType;

/**
 * BF16 products on CPUs whose vector unit does not multiply BF16: operands are widened into
 * scratch, multiplied in F32, and the result rounded once.
 */
final class WideProduct {
  private static final int SOURCE = 20;
  private static final int WEIGHTS = 21;
  private static final int BIAS = 22;
  private static final int RESULT = 23;
  private static final int ROW = 20;

  private WideProduct() {}

  static void multiply(
      Gemm gemm, Lane lane, Gemm.Shape s, long source, long weights, long bias, long result) {
    var wideSource = widen(lane, SOURCE, s.rows(), s.inner(), s.source(), source);
    var wideWeights = widen(lane, WEIGHTS, s.inner(), s.columns(), s.weights(), weights);
    long wideBias = 0;
    if (s.bias()) {
      var row = new Gemm.Layout(s.columns(), 1);
      wideBias = widen(lane, BIAS, 1, s.columns(), row, bias).address;
    }
    boolean round = s.result() == DType.BF16;
    long wideResult = round ? lane.scratch(RESULT, 4L * s.rows() * s.columns()) : result;
    long stride = round ? s.columns() : s.resultStride();
    if (round && s.accumulate()) {
      copy(lane, s, DType.BF16, result, s.resultStride(), DType.F32, wideResult, stride);
    }
    gemm.run(
        new Gemm.Shape(
            s.rows(),
            s.inner(),
            s.columns(),
            DType.F32,
            DType.F32,
            wideSource.layout,
            wideWeights.layout,
            stride,
            s.bias(),
            s.accumulate()),
        wideSource.address,
        wideWeights.address,
        wideBias,
        wideResult);
    if (round) {
      copy(lane, s, DType.F32, wideResult, stride, DType.BF16, result, s.resultStride());
    }
  }

  /** Rows of a result's shape from one place and type to another. */
  private static void copy(
      Lane lane,
      Gemm.Shape s,
      DType type,
      long from,
      long stride,
      DType toType,
      long to,
      long toStride) {
    float[] row = lane.floats(ROW, s.columns());
    for (int i = 0; i < s.rows(); i++) {
      Floats.load(type, from + type.bytes() * i * stride, s.columns(), row);
      Floats.store(row, s.columns(), toType, to + toType.bytes() * i * toStride);
    }
  }

  private record Wide(long address, Gemm.Layout layout) {}

  private static Wide widen(
      Lane lane, int slot, int rows, int columns, Gemm.Layout layout, long from) {
    boolean byRows = layout.columnStride() == 1;
    int lines = byRows ? rows : columns;
    int length = byRows ? columns : rows;
    long stride = byRows ? layout.rowStride() : layout.columnStride();
    long to = lane.scratch(slot, 4L * rows * columns);
    float[] line = lane.floats(ROW, length);
    for (int i = 0; i < lines; i++) {
      Floats.load(DType.BF16, from + 2L * i * stride, length, line);
      Floats.store(line, length, DType.F32, to + 4L * i * length);
    }
    return new Wide(to, byRows ? new Gemm.Layout(length, 1) : new Gemm.Layout(1, length));
  }
}
