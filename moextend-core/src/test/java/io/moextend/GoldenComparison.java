package io.moextend;

import io.moextend.checkpoint.TensorData;
import io.moextend.checkpoint.WeightSource;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** Tensors of ours beside those of a reference file, in f32. */
public final class GoldenComparison {
  private static final double ABSOLUTE = 2e-5;
  private static final double RELATIVE = 2e-4;

  private GoldenComparison() {}

  /**
   * @param wanted which of the reference's tensors are compared
   * @return what is wrong, by tensor
   */
  public static Map<String, String> wrong(
      List<TensorData> traced, WeightSource expected, Predicate<String> wanted) {
    Map<String, TensorData> got =
        traced.stream().collect(Collectors.toMap(TensorData::name, Function.identity()));
    var wrong = new TreeMap<String, String>();
    for (String name : expected.names()) {
      if (wanted.test(name)) {
        difference(got.get(name), expected.tensor(name)).ifPresent(d -> wrong.put(name, d));
      }
    }
    return wrong;
  }

  private static Optional<String> difference(@Nullable TensorData have, TensorData want) {
    if (have == null) {
      return Optional.of("was not traced");
    }
    if (!Arrays.equals(have.shape(), want.shape()) || have.dtype() != want.dtype()) {
      return Optional.of(
          "is %s %s, wanted %s %s"
              .formatted(
                  have.dtype(),
                  Arrays.toString(have.shape()),
                  want.dtype(),
                  Arrays.toString(want.shape())));
    }
    if (want.dtype().isFloating()) {
      return difference(have.floats(), want.floats());
    }
    boolean choice = want.name().contains("selected_experts.");
    int k = choice ? (int) want.shape()[want.shape().length - 1] : 1;
    return same(have.longs(), want.longs(), k) ? Optional.empty() : Optional.of("differs");
  }

  /** In each group of k as a set: among equals the order of chosen experts is free. */
  private static boolean same(long[] got, long[] want, int k) {
    for (int i = 0; i < want.length; i += k) {
      long[] a = Arrays.copyOfRange(got, i, i + k);
      long[] b = Arrays.copyOfRange(want, i, i + k);
      Arrays.sort(a);
      Arrays.sort(b);
      if (!Arrays.equals(a, b)) {
        return false;
      }
    }
    return true;
  }

  private static Optional<String> difference(float[] got, float[] want) {
    int bad = 0;
    double worst = 0;
    String example = "";
    for (int i = 0; i < want.length; i++) {
      double off = Math.abs((double) got[i] - want[i]);
      if (!(off <= ABSOLUTE + RELATIVE * Math.abs(want[i]))) {
        bad++;
        if (!(off <= worst)) {
          worst = off;
          example = "[%d] is %s, wanted %s".formatted(i, got[i], want[i]);
        }
      }
    }
    return bad == 0
        ? Optional.empty()
        : Optional.of("%d of %d, worst %s".formatted(bad, want.length, example));
  }
}
