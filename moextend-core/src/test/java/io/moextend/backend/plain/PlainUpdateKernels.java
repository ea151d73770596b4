package io.moextend.backend.plain;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.UpdateKernels;

interface PlainUpdateKernels extends UpdateKernels {
  private static PlainArray of(Array array) {
    return PlainArray.of(array);
  }

  @Override
  default void accumulateInto(Array into, Array from, double s) {
    for (int i = 0; i < into.size(); i++) {
      of(into).set(i, of(into).get(i) + s * of(from).get(i));
    }
  }

  @Override
  default void fillInto(Array into, double value) {
    for (int i = 0; i < into.size(); i++) {
      of(into).set(i, value);
    }
  }

  @Override
  default void copyInto(Array into, Array from) {
    for (int i = 0; i < into.size(); i++) {
      of(into).set(i, of(from).get(i));
    }
  }

  @Override
  default Array sumOfSquares(Arena to, Array x) {
    double sum = 0;
    for (int i = 0; i < x.size(); i++) {
      sum += of(x).get(i) * of(x).get(i);
    }
    Array out = to.allocate(DType.F64, 1);
    of(out).set(0, sum);
    return out;
  }

  @Override
  default void adamInto(Array master, Array m, Array v, Array gradient, AdamStep how) {
    for (int i = 0; i < master.size(); i++) {
      double g = of(gradient).get(i) * how.gradientScale();
      of(m).set(i, how.beta1() * of(m).get(i) + (1 - how.beta1()) * g);
      of(v).set(i, how.beta2() * of(v).get(i) + (1 - how.beta2()) * g * g);
      double unbiasedM = of(m).get(i) / (1 - Math.pow(how.beta1(), how.step()));
      double unbiasedV = of(v).get(i) / (1 - Math.pow(how.beta2(), how.step()));
      double decayed = of(master).get(i) * (1 - how.learningRate() * how.weightDecay());
      of(master)
          .set(i, decayed - how.learningRate() * unbiasedM / (Math.sqrt(unbiasedV) + how.eps()));
    }
  }
}
