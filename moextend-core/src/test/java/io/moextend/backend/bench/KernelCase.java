package io.moextend.backend.bench;

import io.moextend.array.Arena;
import java.util.function.Function;
import java.util.function.ToLongFunction;
import java.util.stream.Stream;

/**
 * A kernel to be timed.
 *
 * @param name the kernel's, with a variant after a dot where there are several
 * @param shape in words
 * @param work bytes that have to be read or written at least once, or operations
 * @param prepare makes the inputs; what it returns is timed
 */
record KernelCase(
    String name,
    Bound bound,
    Function<Setting, String> shape,
    ToLongFunction<Setting> work,
    Function<Bed, Call> prepare) {

  /** What limits a kernel. */
  enum Bound {
    MEMORY,
    ARITHMETIC
  }

  /** One call of a kernel, its results in {@code to}. */
  @FunctionalInterface
  interface Call {
    void run(Arena to) throws Exception;
  }

  /**
   * @param traffic bytes that have to be read or written
   */
  static KernelCase moving(
      String name,
      Function<Setting, String> shape,
      ToLongFunction<Setting> traffic,
      Function<Bed, Call> prepare) {
    return new KernelCase(name, Bound.MEMORY, shape, traffic, prepare);
  }

  /**
   * @param operations additions and multiplications
   */
  static KernelCase computing(
      String name,
      Function<Setting, String> shape,
      ToLongFunction<Setting> operations,
      Function<Bed, Call> prepare) {
    return new KernelCase(name, Bound.ARITHMETIC, shape, operations, prepare);
  }

  /** The method of the backend that is timed. */
  String kernel() {
    int dot = name.indexOf('.');
    return dot < 0 ? name : name.substring(0, dot);
  }

  /** All kernels, the memory's own speed first. */
  static Stream<KernelCase> all() {
    return Stream.of(
            TriadBenches.cases(),
            ElementBenches.cases(),
            NormBenches.cases(),
            RowBenches.cases(),
            RoutingBenches.cases(),
            LossBenches.cases(),
            UpdateBenches.cases(),
            CopyBenches.cases(),
            AttentionBenches.cases(),
            MatrixBenches.cases(),
            AdapterBenches.cases(),
            AdafactorBenches.cases())
        .flatMap(cases -> cases);
  }

  static KernelCase named(String name) {
    return all()
        .filter(c -> c.name.equals(name))
        .findFirst()
        .orElseThrow(() -> new IllegalArgumentException("no bench is called " + name));
  }

  static String tokensHidden(Setting s) {
    return "[%d, %d]".formatted(s.tokens(), s.hidden());
  }
}
