package io.moextend.backend.nd4j;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.array.ShapeException;
import io.moextend.backend.UpdateKernels;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.ops.transforms.Transforms;

/** Updates in place, in blocks that bound the temporaries. */
interface Nd4jUpdateKernels extends UpdateKernels {
  /** Elements handled at once: a few MB, about a core's cache. */
  long BLOCK = 1 << 18;

  @Override
  default void accumulateInto(Array into, Array from, double s) {
    requireSize(into, from);
    for (long begin = 0; begin < into.size(); begin += BLOCK) {
      try (var t = new Temporaries()) {
        INDArray sum = writable(block(into, begin));
        INDArray addend = t.cast(block(from, begin), sum.dataType());
        sum.addi(t.keep(addend.mul(s)));
      }
    }
  }

  @Override
  default void fillInto(Array into, double value) {
    if (into.size() > 0) {
      Nd4jArray.writable(into).assign(value);
    }
  }

  @Override
  default void copyInto(Array into, Array from) {
    requireSize(into, from);
    if (into.size() > 0) {
      Rounded.assign(
          Nd4jArray.writable(into.reshape(into.size())), Nd4jArray.of(from.reshape(from.size())));
    }
  }

  @Override
  default Array sumOfSquares(Arena to, Array x) {
    Array out = to.allocate(DType.F64, 1);
    INDArray total = Nd4jArray.of(out).assign(0);
    for (long begin = 0; begin < x.size(); begin += BLOCK) {
      try (var t = new Temporaries()) {
        INDArray part = t.cast(block(x, begin), DataType.DOUBLE);
        total.addi(t.keep(t.keep(part.mul(part)).sum(0)));
      }
    }
    return out;
  }

  @Override
  default void adamInto(Array master, Array m, Array v, Array gradient, AdamStep how) {
    for (Array array : new Array[] {m, v, gradient}) {
      requireSize(master, array);
      SameType.require("m, v or gradient", array, master.dtype());
    }
    for (long begin = 0; begin < master.size(); begin += BLOCK) {
      adam(
          writable(block(master, begin)),
          writable(block(m, begin)),
          writable(block(v, begin)),
          Nd4jArray.of(block(gradient, begin)),
          how);
    }
  }

  private static void adam(
      INDArray master, INDArray m, INDArray v, INDArray gradient, AdamStep how) {
    try (var t = new Temporaries()) {
      INDArray g = t.keep(gradient.mul(how.gradientScale()));
      m.muli(how.beta1()).addi(t.keep(g.mul(1 - how.beta1())));
      v.muli(how.beta2()).addi(g.muli(g).muli(1 - how.beta2()));
      double firstCorrection = 1 - Math.pow(how.beta1(), how.step());
      double secondCorrection = 1 - Math.pow(how.beta2(), how.step());
      INDArray root =
          Transforms.sqrt(t.copy(v), false).divi(Math.sqrt(secondCorrection)).addi(how.eps());
      INDArray move = t.keep(m.div(root)).muli(how.learningRate() / firstCorrection);
      master.muli(1 - how.learningRate() * how.weightDecay()).subi(move);
    }
  }

  private static INDArray writable(Array array) {
    Nd4jArray.requireComputed(array.dtype(), "array " + array);
    return Nd4jArray.writable(array);
  }

  /** Up to {@link #BLOCK} elements from {@code begin}, as a vector. */
  private static Array block(Array array, long begin) {
    return array.reshape(array.size()).slice(begin, Math.min(array.size(), begin + BLOCK));
  }

  private static void requireSize(Array into, Array from) {
    if (into.size() != from.size()) {
      throw new ShapeException("%s and %s differ in size".formatted(into, from));
    }
  }
}
