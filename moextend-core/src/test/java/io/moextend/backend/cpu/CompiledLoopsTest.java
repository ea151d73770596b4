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
import java.util.regex.Pattern;
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

  /** The methods that a command to the compiler names. */
  private static List<String> told(String command) throws IOException {
    String start = "-XX:CompileCommand=" + command + ",";
    return Arrays.stream(Files.readString(PROJECT.resolve("scripts/jvm.flags")).split("\\s+"))
        .filter(flag -> flag.startsWith(start))
        .map(flag -> flag.substring(start.length()))
        .toList();
  }
}
