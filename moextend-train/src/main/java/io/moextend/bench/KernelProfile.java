package io.moextend.bench;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.backend.Backend;
import io.moextend.backend.Dispatch;
import io.moextend.backend.Matrix;
import io.moextend.backend.MatrixKernels;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * Where a step's time goes, kernel by kernel. {@link #backend} stands before a real backend and
 * times every call; products are told apart by shape, and each shape can be run alone, to see how
 * near the step comes to it. Not thread-safe; for one step at a time.
 */
public final class KernelProfile implements InvocationHandler {
  private static final int ALONE_RUNS = 5;

  /**
   * One line of the table.
   *
   * @param kernel the backend's method, and the shape where it is a product
   * @param seconds in all calls
   * @param flops in all calls; 0 where it is not a product
   * @param aloneSeconds of the same products run alone, their median; 0 where not measured
   */
  public record Line(String kernel, int calls, double seconds, double flops, double aloneSeconds) {
    /** Operations a second, in 1e9; 0 where it is not a product. */
    public double gigaflops() {
      return flops / seconds / 1e9;
    }

    /** 1 where a product was as fast in the step as alone; 0 where not measured. */
    public double shareOfAlone() {
      return aloneSeconds / seconds;
    }
  }

  private static final class Sum {
    int calls;
    long nanos;
    double flops;
    long aloneNanos;
  }

  private final Backend target;
  private final Backend backend;
  private final Map<String, Sum> sums = new TreeMap<>();
  private boolean alone;

  public KernelProfile(Backend target) {
    this.target = target;
    this.backend =
        (Backend)
            Proxy.newProxyInstance(
                Backend.class.getClassLoader(), new Class<?>[] {Backend.class}, this);
  }

  /** To be used in place of the real one. */
  public Backend backend() {
    return backend;
  }

  /**
   * Forgets what was measured.
   *
   * @param alone whether each product is from now on run some times more, alone, for comparison
   */
  public void restart(boolean alone) {
    sums.clear();
    this.alone = alone;
  }

  /** The dearest first. */
  public List<Line> lines() {
    var lines = new ArrayList<Line>();
    sums.forEach(
        (kernel, s) ->
            lines.add(new Line(kernel, s.calls, s.nanos / 1e9, s.flops, s.aloneNanos / 1e9)));
    lines.sort(Comparator.comparingDouble(Line::seconds).reversed());
    return lines;
  }

  /** The lines of another step, with what this one measured alone. */
  public List<Line> besides(List<Line> inStep) {
    return inStep.stream()
        .map(
            line -> {
              Sum here = sums.get(line.kernel);
              double seconds = here == null ? 0 : here.aloneNanos / 1e9 * line.calls / here.calls;
              return new Line(line.kernel, line.calls, line.seconds, line.flops, seconds);
            })
        .toList();
  }

  @Override
  public @Nullable Object invoke(Object proxy, Method method, Object @Nullable [] given)
      throws Throwable {
    Object[] arguments = given == null ? new Object[0] : given;
    Work work = work(method.getName(), arguments);
    long start = System.nanoTime();
    Object result = call(method, arguments);
    Sum sum = sums.computeIfAbsent(work.name, n -> new Sum());
    sum.nanos += System.nanoTime() - start;
    sum.calls++;
    sum.flops += work.flops;
    if (alone && work.flops > 0) {
      sum.aloneNanos += alone(method, arguments);
    }
    return result;
  }

  private @Nullable Object call(Method method, Object[] arguments) throws Throwable {
    try {
      return method.invoke(target, arguments);
    } catch (InvocationTargetException e) {
      throw e.getCause();
    }
  }

  /** A product's results are new arrays, so it may be repeated; the arena frees them. */
  private long alone(Method method, Object[] arguments) throws Throwable {
    var nanos = new long[ALONE_RUNS];
    for (int i = 0; i < nanos.length; i++) {
      long start = System.nanoTime();
      Object result = call(method, arguments);
      nanos[i] = System.nanoTime() - start;
      if (result instanceof Array array && arguments[0] instanceof Arena arena) {
        arena.free(array);
      }
    }
    Arrays.sort(nanos);
    return nanos[ALONE_RUNS / 2];
  }

  /**
   * What a call does.
   *
   * @param flops multiplications and additions of a product, else 0
   */
  private record Work(String name, double flops) {}

  private Work work(String kernel, Object[] a) {
    return switch (kernel) {
      case "product", "productTransposed" -> product(kernel, rows(a[1]), (Matrix) a[2]);
      case "groupedProduct", "groupedProductTransposed" ->
          product(kernel, routed((Dispatch) a[2]), (Matrix) ((List<?>) a[3]).getFirst());
      case "productWith" -> productWith(kernel, rows(a[1]), (Matrix) a[2], (List<?>) a[4]);
      case "sumTransposed" -> sumTransposed(kernel, (List<?>) a[2]);
      case "weightGradient" -> gradient(kernel, rows(a[1]), a);
      case "groupedWeightGradient" -> {
        int[] offsets = target.toInts(((Dispatch) a[5]).offsets());
        int expert = (Integer) a[6];
        yield gradient(kernel, offsets[expert + 1] - offsets[expert], a);
      }
      default -> new Work(kernel, 0);
    };
  }

  private static long rows(Object array) {
    return ((Array) array).dim(0);
  }

  /** Rows that came from tokens. */
  private static long routed(Dispatch dispatch) {
    return (long) dispatch.tokens() * dispatch.topK();
  }

  private static Work product(String kernel, long rows, Matrix w) {
    return new Work(
        "%s %d x [%d, %d]".formatted(kernel, rows, w.out(), w.in()), 2.0 * rows * w.out() * w.in());
  }

  private static Work productWith(String kernel, long rows, Matrix w, List<?> addends) {
    double flops = product(kernel, rows, w).flops;
    var ranks = new StringBuilder();
    for (Object addend : addends) {
      Matrix b = ((MatrixKernels.Addend) addend).b();
      flops += product(kernel, rows, b).flops;
      ranks.append(" + ").append(b.out());
    }
    return new Work(product(kernel, rows, w).name + ranks, flops);
  }

  private static Work sumTransposed(String kernel, List<?> shares) {
    long rows = 0;
    long in = 0;
    long out = 0;
    for (Object share : shares) {
      Matrix w = ((MatrixKernels.Share) share).w();
      rows = ((MatrixKernels.Share) share).dY().dim(0);
      in = w.in();
      out += w.out();
    }
    String name = "%s %d x [%d, %d]".formatted(kernel, rows, out, in);
    return new Work(name, 2.0 * rows * out * in);
  }

  private static Work gradient(String kernel, long rows, Object[] a) {
    long out = (Long) a[3] - (Long) a[2];
    long in = ((Array) a[4]).dim(1);
    return new Work("%s [%d, %d]".formatted(kernel, out, in), 2.0 * rows * out * in);
  }
}
