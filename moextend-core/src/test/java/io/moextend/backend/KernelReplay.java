package io.moextend.backend;

import io.moextend.array.DType;
import io.moextend.backend.BackendProvider.Options;
import io.moextend.backend.KernelCases.Answer;
import io.moextend.backend.KernelCases.Seeded;
import io.moextend.backend.Trial.Result;
import java.io.File;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;

/**
 * The contract of {@link BackendContractTest} on a machine that has neither the oracle nor a test
 * runner: {@code record FILE} here, {@code replay FILE BACKEND} there. Each case has to agree with
 * the record, to give the same bits again, and to give its memory back.
 */
final class KernelReplay {
  private static final int MOST_SAID = 40;

  private KernelReplay() {}

  public static void main(String[] args) throws IOException {
    boolean records = args.length == 2 && args[0].equals("record");
    if (!records && !(args.length >= 3 && args[0].equals("replay"))) {
      System.err.println(
          "usage: record FILE | replay FILE BACKEND [folders of commands [kernel cache [folders of libraries]]]");
      System.exit(2);
    }
    if (records) {
      try (Backend oracle = Backends.open("nd4j", new Options(2, 0))) {
        KernelRecord.of(oracle, KernelCases.seeded()).write(Path.of(args[1]));
      }
      return;
    }
    int threads = Runtime.getRuntime().availableProcessors();
    var search =
        new LibrarySearch(
            folders(args, 5), folders(args, 3), args.length > 4 ? Path.of(args[4]) : null);
    KernelRecord wanted = KernelRecord.read(Path.of(args[1]));
    try (Backend backend = Backends.open(args[2], new Options(threads, 0, null, search))) {
      System.exit(replay(backend, wanted, KernelCases.seeded(), System.out) ? 0 : 3);
    }
  }

  private static List<Path> folders(String[] args, int at) {
    return args.length <= at
        ? List.of()
        : Stream.of(args[at].split(File.pathSeparator, -1))
            .filter(folder -> !folder.isEmpty())
            .map(Path::of)
            .toList();
  }

  /** True where nothing is wrong; says what is, and one line of JSON for each type. */
  static boolean replay(Backend backend, KernelRecord wanted, List<Seeded> cases, PrintStream out) {
    boolean right = true;
    for (DType type : KernelRecord.TYPES) {
      if (backend.computeTypes().contains(type)) {
        right &= replay(backend, type, wanted, cases, out);
      }
    }
    return right;
  }

  private static boolean replay(
      Backend backend, DType type, KernelRecord wanted, List<Seeded> cases, PrintStream out) {
    var wrong = new ArrayList<String>();
    long start = System.nanoTime();
    for (Seeded seeded : cases) {
      String fault = fault(backend, type, seeded, wanted);
      if (!fault.isEmpty()) {
        wrong.add("%s %s: %s".formatted(type, seeded, fault));
      }
    }
    wrong.stream().limit(MOST_SAID).forEach(out::println);
    out.printf(
        Locale.ROOT,
        "{\"check\":\"kernels\",\"backend\":\"%s\",\"dtype\":\"%s\",\"cases\":%d,\"wrong\":%d,\"seconds\":%.1f}%n",
        backend.name(),
        type.name().toLowerCase(Locale.ROOT),
        cases.size(),
        wrong.size(),
        (System.nanoTime() - start) / 1e9);
    return wrong.isEmpty();
  }

  private static String fault(Backend backend, DType type, Seeded seeded, KernelRecord wanted) {
    try {
      Answer answer = wanted.answer(type, seeded);
      long before = backend.memory().liveBytes();
      KernelCases.hold(backend, type, seeded, answer);
      if (backend.memory().liveBytes() != before) {
        return "%d bytes were live before and %d after"
            .formatted(before, backend.memory().liveBytes());
      }
      return otherBits(
          KernelCases.run(backend, type, seeded), KernelCases.run(backend, type, seeded));
    } catch (RuntimeException | AssertionError e) {
      return e.getClass().getSimpleName() + ": " + String.valueOf(e.getMessage()).strip();
    }
  }

  private static String otherBits(List<Result> first, List<Result> second) {
    for (int i = 0; i < first.size(); i++) {
      if (!java.util.Arrays.equals(first.get(i).values(), second.get(i).values())) {
        return first.get(i).name() + " has other bits in the next run";
      }
    }
    return "";
  }
}
