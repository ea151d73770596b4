package io.moextend.backend.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.Golden;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * What the compiler is told about vectors in scripts/jvm.flags is what there is: loops are compiled
 * each for itself, and what they are made of into them.
 */
class CompiledLoopsTest {
  private static final Path PROJECT = Golden.root().resolveSibling("scripts").getParent();
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
    assertThat(loops).isNotEmpty().isEqualTo(new TreeSet<>(classes(told("dontinline"))));
  }

  @Test
  void whatIsCompiledIntoLoopsExists() throws Exception {
    List<String> inlined = told("inline");
    assertThat(inlined).isNotEmpty();
    for (String method : inlined) {
      String[] parts = method.split("::");
      Class<?> type = Class.forName(parts[0]);
      assertThat(type.getDeclaredMethods())
          .as(method)
          .anyMatch(m -> parts[1].equals("*") || m.getName().equals(parts[1]));
    }
  }

  private static List<String> classes(List<String> methods) {
    return methods.stream()
        .map(m -> m.substring(m.lastIndexOf('.') + 1).replace("::*", ""))
        .toList();
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
