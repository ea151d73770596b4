package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.Golden;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.BiFunction;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import picocli.CommandLine;

/** What the pages say exists, exists: commands with their options, tests, classes, files. */
class DocumentsTest {
  private static final Path ROOT = Golden.root().resolve("..").normalize();
  private static final Pattern FENCE = Pattern.compile("(?ms)^```\\w*\\n(.*?)^```");
  private static final Pattern COMMAND = Pattern.compile("(?m)^scripts/moextend +(.+)$");
  private static final Pattern TEST = Pattern.compile("`(\\w+Test)\\.(\\w+)`");
  private static final Pattern JAVA_FILE = Pattern.compile("`([\\w/.-]+\\.java)`");
  private static final Pattern TYPE = Pattern.compile("`((?:[A-Z][a-z0-9]+){2,})(?:[.(][^`]*)?`");
  private static final Pattern LINK = Pattern.compile("]\\((?!https?:)([^)#]+)");
  private static final Pattern WORD = Pattern.compile("'[^']*'|\\S+");

  @Test
  void everyCommandShownIsUnderstood() {
    List<String> wrong =
        check(
            FENCE,
            (page, fence) ->
                COMMAND
                    .matcher(fence.group(1).replaceAll("\\\\\\n\\s*", ""))
                    .results()
                    .flatMap(command -> misunderstood(command.group(1)).stream())
                    .toList());
    assertThat(wrong).isEmpty();
  }

  private static List<String> misunderstood(String command) {
    String[] words =
        WORD.matcher(command.replaceAll(" #.*", ""))
            .results()
            .map(word -> word.group().replace("'", ""))
            .toArray(String[]::new);
    try {
      new CommandLine(new MoExtend()).setCaseInsensitiveEnumValuesAllowed(true).parseArgs(words);
      return List.of();
    } catch (CommandLine.ParameterException e) {
      return List.of(command + ": " + e.getMessage());
    }
  }

  @Test
  void everyTestNamedExists() {
    List<String> wrong =
        check(
            TEST,
            (page, test) ->
                sources("test")
                        .filter(f -> f.endsWith(test.group(1) + ".java"))
                        .anyMatch(f -> text(f).contains(" " + test.group(2)))
                    ? List.of()
                    : List.of(test.group()));
    assertThat(wrong).isEmpty();
  }

  @Test
  void everyJavaFileNamedExists() {
    List<String> wrong =
        check(
            JAVA_FILE,
            (page, file) ->
                Stream.of("main", "test")
                        .flatMap(DocumentsTest::sources)
                        .anyMatch(f -> f.endsWith(file.group(1)))
                    ? List.of()
                    : List.of(file.group()));
    assertThat(wrong).isEmpty();
  }

  @Test
  void everyTypeNamedExists() {
    String all =
        Stream.of("main", "test")
            .flatMap(DocumentsTest::sources)
            .map(DocumentsTest::text)
            .collect(Collectors.joining());
    List<String> wrong =
        check(
            TYPE,
            (page, type) ->
                Pattern.compile("(class|record|interface|enum) " + type.group(1) + "\\b")
                        .matcher(all)
                        .find()
                    ? List.of()
                    : List.of(type.group()));
    assertThat(wrong).isEmpty();
  }

  @Test
  void everyLinkLeadsToAFile() {
    List<String> wrong =
        check(
            LINK,
            (page, link) ->
                Files.exists(page.resolveSibling(link.group(1)))
                    ? List.of()
                    : List.of(link.group()));
    assertThat(wrong).isEmpty();
  }

  private static List<String> check(
      Pattern what, BiFunction<Path, MatchResult, List<String>> problems) {
    var wrong = new ArrayList<String>();
    for (Path page : pages()) {
      what.matcher(text(page))
          .results()
          .flatMap(found -> problems.apply(page, found).stream())
          .map(problem -> ROOT.relativize(page) + ": " + problem)
          .forEach(wrong::add);
    }
    return wrong;
  }

  private static List<Path> pages() {
    List<Path> pages =
        Stream.concat(Stream.of(ROOT), Stream.of(ROOT.resolve("docs")))
            .flatMap(DocumentsTest::list)
            .filter(f -> f.toString().endsWith(".md"))
            .sorted()
            .toList();
    assertThat(pages).contains(ROOT.resolve("README.md"));
    return pages;
  }

  private static Stream<Path> sources(String kind) {
    return Arrays.stream(new String[] {"core", "train", "launch"})
        .map(m -> ROOT.resolve("moextend-" + m + "/src/" + kind + "/java"))
        .flatMap(DocumentsTest::walk)
        .filter(f -> f.toString().endsWith(".java"));
  }

  private static Stream<Path> list(Path folder) {
    try (Stream<Path> files = Files.list(folder)) {
      return files.toList().stream();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static Stream<Path> walk(Path folder) {
    try (Stream<Path> files = Files.walk(folder)) {
      return files.toList().stream();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static String text(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
