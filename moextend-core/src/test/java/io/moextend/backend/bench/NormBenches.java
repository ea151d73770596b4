package io.moextend.backend.bench;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.backend.Backend;
import io.moextend.backend.NormKernels.Normed;
import java.util.stream.Stream;

final class NormBenches {
  private static final double EPS = 1e-5;

  private NormBenches() {}

  /** What a norm's kernels take. */
  private record Inputs(Array x, Array d, Array weight, Array bias, Normed rms, Normed layer) {
    static Inputs of(Bed bed) {
      Setting s = bed.setting();
      Array x = bed.values(s.tokens(), s.hidden());
      Array weight = bed.values(s.hidden());
      Array bias = bed.values(s.hidden());
      Backend b = bed.backend();
      return new Inputs(
          x,
          bed.values(s.tokens(), s.hidden()),
          weight,
          bias,
          b.rmsNorm(bed.arena(), x, weight, EPS),
          b.layerNorm(bed.arena(), x, weight, bias, EPS));
    }
  }

  @FunctionalInterface
  private interface Kernel {
    void run(Backend backend, Arena to, Inputs inputs);
  }

  static Stream<KernelCase> cases() {
    return Stream.of(
        norm("rmsNorm", 2, (b, to, i) -> b.rmsNorm(to, i.x, i.weight, EPS)),
        norm("rmsNormBackward", 3, (b, to, i) -> b.rmsNormBackward(to, i.d, i.x, i.weight, i.rms)),
        norm(
            "rmsNormWeightGradient", 2, (b, to, i) -> b.rmsNormWeightGradient(to, i.d, i.x, i.rms)),
        norm("layerNorm", 2, (b, to, i) -> b.layerNorm(to, i.x, i.weight, i.bias, EPS)),
        norm(
            "layerNormBackward",
            3,
            (b, to, i) -> b.layerNormBackward(to, i.d, i.x, i.weight, i.layer)),
        norm(
            "layerNormWeightGradient",
            2,
            (b, to, i) -> b.layerNormWeightGradient(to, i.d, i.x, i.layer)));
  }

  /**
   * @param arrays how many of [tokens, hidden] are read or written
   */
  private static KernelCase norm(String name, int arrays, Kernel kernel) {
    return KernelCase.moving(
        name,
        KernelCase::tokensHidden,
        s -> s.narrow(arrays * s.tokensHidden()),
        bed -> {
          Inputs inputs = Inputs.of(bed);
          return to -> kernel.run(bed.backend(), to, inputs);
        });
  }
}
