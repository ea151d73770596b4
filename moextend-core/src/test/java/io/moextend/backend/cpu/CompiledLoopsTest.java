package io.moextend.backend.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Named.named;

import io.moextend.Golden;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Named;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * What the compiler is told about vectors in scripts/jvm.flags is what there is: loops are compiled
 * each for itself, and what they are made of into them.
 */
class CompiledLoopsTest {
  private static final Path PROJECT = Golden.root().resolveSibling("scripts").getParent();
  private static final MemorySegment ROOM = Arena.global().allocate(16L * 2048 * 6, 64);
  private static final String PACKAGE = CompiledLoopsTest.class.getPackageName();

  @Test
  void everyClassOfLoopsIsCompiledLoopByLoop() throws IOException {
    Path sources =
        PROJECT.resolve("moextend-core/src/main/java").resolve(PACKAGE.replace('.', '/'));
    Set<String> loops;
    try (Stream<Path> files = Files.list(sources)) {
      loops =
          files
              .map(f -> f.getFileName().toString())
              .filter(f -> f.endsWith("Loops.java"))
              .map(f -> f.replace(".java", ""))
              .collect(Collectors.toCollection(TreeSet::new));
    }
    assertThat(loops).isNotEmpty();
    assertThat(told("dontinline")).containsAll(loops.stream().map(this::allOf).toList());
  }

  private String allOf(String loops) {
    return PACKAGE + "." + loops + "::*";
  }

  @Test
  void everyMethodTheCompilerIsToldAboutExists() throws Exception {
    List<String> methods =
        Stream.concat(told("inline").stream(), told("dontinline").stream()).toList();
    assertThat(methods).isNotEmpty();
    for (String method : methods) {
      String[] parts = method.split("::");
      var name = Pattern.compile(parts[1].replace("*", ".*"));
      assertThat(Class.forName(parts[0]).getDeclaredMethods())
          .as(method)
          .anyMatch(m -> name.matcher(m.getName()).matches());
    }
  }

  /** Of those that are near what the compiler takes whole. */
  static Stream<Named<Runnable>> largestLoops() {
    int n = 2048;
    long[] at = IntStream.range(0, 6).mapToLong(i -> ROOM.address() + 16L * n * i).toArray();
    return Stream.of(
        named("sigmas", () -> GateLoops.sigmas(at[0], 1, at[1], n)),
        named("left", () -> GateLoops.leftBf16(at[0], at[1], 1, at[2], at[3], at[4], n)),
        named(
            "left tanh", () -> ActivationLoops.tanhLeftBf16(at[0], at[1], at[2], at[3], at[4], n)),
        named("tanh", () -> ActivationLoops.tanhSigmas(at[0], at[1], n)),
        named("normal", () -> ActivationLoops.normalSlope(at[0], at[1], at[2], n)),
        named("exponentials", () -> ExponentialLoops.scaledBf16(at[0], 0, 1, at[1], n)),
        named("their sum", () -> ExponentialLoops.sumBf16(at[0], 0, at[1], n)),
        named("turn", () -> RowLoops.turnBf16(at[0], at[1], at[2], 32, 32, at[3])),
        named(
            "rescale",
            () -> RescaleLoops.rescale(at[0], at[1], at[2], 8192, 3, at[3], Vectors.BF16, n)),
        named("spread", () -> RescaleLoops.spread(at[0], at[1], at[2], 8192, 3, n)),
        named("touch", () -> PairLoops.touch(at[0], 2L * n)));
  }

  @ParameterizedTest
  @MethodSource("largestLoops")
  void aLoopThatIsCompiledMakesNoObjects(Runnable loop) {
    var thread = (com.sun.management.ThreadMXBean) ManagementFactory.getThreadMXBean();
    long made = Long.MAX_VALUE;
    // the compiler works beside this, and late where the machine has other things to do
    long end = System.nanoTime() + TimeUnit.MINUTES.toNanos(1);
    while (made > 0 && System.nanoTime() < end) {
      long before = thread.getCurrentThreadAllocatedBytes();
      loop.run();
      made = thread.getCurrentThreadAllocatedBytes() - before;
    }
    assertThat(made).as("bytes a call").isZero();
  }

  /** The methods that a command to the compiler names. */
  private static List<String> told(String command) throws IOException {
    String start = "-XX:CompileCommand=" + command + ",";
    return Arrays.stream(Files.readString(PROJECT.resolve("scripts/jvm.flags")).split("\\s+"))
        .filter(flag -> flag.startsWith(start))
        .map(flag -> flag.substring(start.length()))
        .toList();
  }
}
