package io.moextend.backend;

import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.backend.UpdateKernels.AdamStep;
import java.util.ArrayList;
import java.util.stream.Stream;

final class UpdateCases {
  private UpdateCases() {}

  static Stream<Case> cases() {
    var cases = new ArrayList<Case>();
    for (int size : new int[] {1, 15, 64, 1000, 0}) {
      cases.add(writes(size));
      cases.add(adam(size, new AdamStep(1, 0.5, 0.9, 0.999, 1e-8, 0, 1)));
      cases.add(adam(size, new AdamStep(7, 0.3, 0.8, 0.95, 1e-6, 0.1, 0.37)));
    }
    cases.add(writes(300_001)); // more than one block
    return cases.stream();
  }

  private static Case writes(int size) {
    return Case.of(
        "accumulateInto, fillInto, copyInto, sumOfSquares",
        "of " + size,
        t -> {
          Array narrow = t.values(size);
          Array wide = t.wideValues(size);
          Backend b = t.backend();
          Array sum = t.state(wide);
          b.accumulateInto(sum, narrow, 0.25);
          t.result("wide += narrow", sum, t.wide(), size);
          b.accumulateInto(sum, wide, -2);
          t.loosely("wide += wide", sum, t.wide(), 4, size);
          Array copy = t.state(wide);
          b.copyInto(copy, narrow);
          t.result("wide = narrow", copy, t.wide(), size);
          Array rounded = t.state(narrow);
          b.copyInto(rounded, wide);
          t.result("narrow = wide", rounded, t.compute(), size);
          b.fillInto(rounded, 0.5);
          t.result("filled", rounded, t.compute(), size);
          t.result("squares", b.sumOfSquares(t.arena(), wide), DType.F64, 1);
          t.result("narrow squares", b.sumOfSquares(t.arena(), narrow), DType.F64, 1);
        });
  }

  private static Case adam(int size, AdamStep step) {
    return Case.of(
        "adamInto",
        "%d, %s".formatted(size, step),
        t -> {
          Array gradient = t.wideValues(size);
          Array master = t.state(t.wideValues(size));
          Array m = t.state(t.wideValues(size));
          Array v = t.state(t.widePositive(size));
          Array before = t.state(master);
          Backend b = t.backend();
          Array[] same = {t.state(master), t.state(m), t.state(v)};
          b.adamInto(master, m, v, gradient, step);
          t.result("master", master, t.wide(), size);
          Array weights = t.state(t.values(size));
          b.adamInto(weights, same[0], same[1], same[2], gradient, step);
          t.result("weights", weights, t.compute(), size);
          t.result("their master", same[0], t.wide(), size);
          t.result("m", m, t.wide(), size);
          t.result("v", v, t.wide(), size);
          // the move alone: beside the weight itself an error in it would not show
          t.loosely("move", b.addScaled(t.arena(), master, before, -1), t.wide(), 100, size);
        });
  }
}
