package io.moextend.backend.bench;

import io.moextend.array.DType;
import io.moextend.backend.bench.KernelCase.Bound;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Pattern;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.Options;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.TimeValue;
import org.openjdk.jmh.runner.options.VerboseMode;

/** Times kernels and prints one table: the program behind {@code scripts/bench/kernels}. */
public final class KernelTable {
  private static final String USAGE =
      """
      usage: scripts/bench/kernels [REGEX] [--dtype bf16|f32|both] [--size auto|model|large|both] [--threads N] [--millis N]
        REGEX    names of kernels to time, found anywhere in the name; all without it
        --dtype  type of weights and activations (bf16)
        --size   model: the shapes of a step of `moextend bench step`; large: 16 times the tokens, beyond every cache;
                 auto: large for what memory limits, model for products and attention
        --threads  workers; every core without it
        --millis length of an iteration (300); there are 3 to warm up and 5 that count
      """;

  /** Kernels timed before triad is again. */
  private static final int BETWEEN_TRIADS = 6;

  /** What was asked for. */
  private record Wish(
      Pattern kernels, List<DType> types, List<Setting.Size> sizes, int threads, int millis) {}

  /** One line. */
  private record Row(KernelCase kernel, Setting setting, double micros, double triad) {
    /** GB/s or GF/s. */
    double rate() {
      return kernel.work().applyAsLong(setting) / micros / 1e3;
    }

    Row beside(double other) {
      return new Row(kernel, setting, micros, other);
    }
  }

  private KernelTable() {}

  public static void main(String[] args) throws RunnerException {
    Wish wish;
    try {
      wish = wish(args);
    } catch (IllegalArgumentException e) {
      System.err.println(e.getMessage() + "\n" + USAGE);
      System.exit(2);
      return;
    }
    print(rows(wish));
  }

  private static Wish wish(String[] args) {
    Map<String, String> given = new LinkedHashMap<>();
    for (int i = 0; i < args.length; i++) {
      if (!args[i].startsWith("--")) {
        given.put("regex", args[i]);
      } else if (i + 1 < args.length
          && List.of("--dtype", "--size", "--threads", "--millis").contains(args[i])) {
        given.put(args[i], args[++i]);
      } else {
        throw new IllegalArgumentException("what is %s?".formatted(args[i]));
      }
    }
    return new Wish(
        Pattern.compile(given.getOrDefault("regex", "")),
        choice(given.getOrDefault("--dtype", "bf16"), DType.class),
        given.getOrDefault("--size", "auto").equals("auto")
            ? List.of()
            : choice(given.get("--size"), Setting.Size.class),
        Integer.parseInt(given.getOrDefault("--threads", "0")),
        Integer.parseInt(given.getOrDefault("--millis", "300")));
  }

  private static <E extends Enum<E>> List<E> choice(String word, Class<E> kind) {
    if (word.equals("both")) {
      return Arrays.stream(kind.getEnumConstants())
          .filter(e -> List.of("BF16", "F32", "MODEL", "LARGE").contains(e.name()))
          .toList();
    }
    return List.of(Enum.valueOf(kind, word.toUpperCase(Locale.ROOT)));
  }

  private static List<Row> rows(Wish wish) throws RunnerException {
    List<String> moving = names(wish, Bound.MEMORY);
    List<String> computing = names(wish, Bound.ARITHMETIC);
    List<Row> rows = new ArrayList<>();
    for (Setting.Size size : Setting.Size.values()) {
      boolean asked = wish.sizes.contains(size);
      boolean auto = wish.sizes.isEmpty();
      if (asked || (auto && size == Setting.Size.LARGE)) {
        rows.addAll(besideTriad(moving, size, wish));
      }
      if (asked || (auto && size == Setting.Size.MODEL)) {
        rows.addAll(time(computing, wish.types, size, wish));
      }
    }
    return rows;
  }

  /** The memory's speed is taken again every few kernels: on a shared machine it does not stay. */
  private static List<Row> besideTriad(List<String> kernels, Setting.Size size, Wish wish)
      throws RunnerException {
    List<Row> rows = new ArrayList<>();
    double before = triad(wish);
    for (int i = 0; i < kernels.size(); i += BETWEEN_TRIADS) {
      int end = Math.min(kernels.size(), i + BETWEEN_TRIADS);
      List<Row> some = time(kernels.subList(i, end), wish.types, size, wish);
      double after = triad(wish);
      double mean = (before + after) / 2;
      some.forEach(row -> rows.add(row.beside(mean)));
      before = after;
    }
    return rows;
  }

  private static double triad(Wish wish) throws RunnerException {
    return time(TriadBenches.TRIAD, DType.F32, Setting.Size.LARGE, wish).rate();
  }

  private static List<String> names(Wish wish, Bound bound) {
    return KernelCase.all()
        .filter(c -> c.bound() == bound && !c.name().equals(TriadBenches.TRIAD))
        .map(KernelCase::name)
        .filter(name -> wish.kernels.matcher(name).find())
        .toList();
  }

  private static List<Row> time(
      List<String> kernels, List<DType> types, Setting.Size size, Wish wish)
      throws RunnerException {
    List<Row> rows = new ArrayList<>();
    for (String kernel : kernels) {
      for (DType type : types) {
        System.err.printf("%s %s %s ...%n", kernel, type, size);
        rows.add(time(kernel, type, size, wish));
      }
    }
    return rows;
  }

  private static Row time(String kernel, DType type, Setting.Size size, Wish wish)
      throws RunnerException {
    Options options =
        new OptionsBuilder()
            .include(Pattern.quote(KernelBench.class.getName() + ".run"))
            .param("kernel", kernel)
            .param("dtype", type.name())
            .param("size", size.name())
            .param("threads", Integer.toString(wish.threads))
            .warmupTime(TimeValue.milliseconds(wish.millis))
            .measurementTime(TimeValue.milliseconds(wish.millis))
            .verbosity(VerboseMode.SILENT)
            .shouldFailOnError(true)
            .build();
    RunResult result = new Runner(options).runSingle();
    return new Row(
        KernelCase.named(kernel),
        Setting.of(size, type),
        result.getPrimaryResult().getStatistics().getPercentile(50),
        0);
  }

  private static void print(List<Row> rows) {
    double product =
        rows.stream()
            .filter(r -> r.kernel.bound() == Bound.ARITHMETIC)
            .mapToDouble(Row::rate)
            .max()
            .orElse(0);
    System.out.printf(
        "%n%-29s %-42s %-5s %10s %12s  %s%n", "kernel", "shape", "dtype", "us", "rate", "share");
    for (Row r : rows) {
      boolean moving = r.kernel.bound() == Bound.MEMORY;
      double best = moving ? r.triad : product;
      System.out.printf(
          Locale.ROOT,
          "%-29s %-42s %-5s %10.1f %7.1f %s  %3.0f %% of %s%n",
          r.kernel.name(),
          r.kernel.shape().apply(r.setting),
          r.setting.dtype().name().toLowerCase(Locale.ROOT),
          r.micros,
          r.rate(),
          moving ? "GB/s" : "GF/s",
          100 * r.rate() / best,
          moving ? "triad (%.1f)".formatted(best) : "the best product");
    }
  }
}
