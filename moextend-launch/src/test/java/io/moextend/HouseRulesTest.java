package io.moextend;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.fields;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.JavaAccess;
import com.tngtech.archunit.core.domain.JavaCall;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;
import java.util.Map;
import java.util.Set;

/** House rules that a machine can hold. */
@AnalyzeClasses(packages = "io.moextend", importOptions = ProjectClasses.class)
class HouseRulesTest {
  private static final Map<Class<?>, Set<String>> READS =
      Map.of(
          System.class, Set.of("getenv", "getProperty", "getProperties"),
          Integer.class, Set.of("getInteger"),
          Long.class, Set.of("getLong"),
          Boolean.class, Set.of("getBoolean"));

  private static final Map<Class<?>, Set<String>> WRITES =
      Map.of(
          System.class,
          Set.of("setProperty", "setProperties", "clearProperty", "setOut", "setErr"));

  @ArchTest
  static final ArchRule classesAreNamedForTheThingTheyAre =
      noClasses().should().haveNameMatching(".*(Manager|Helper|Utils?|Impl)$");

  @ArchTest
  static final ArchRule onlyTheCommandReadsTheEnvironment =
      noClasses()
          .that()
          .resideOutsideOfPackages("io.moextend.cli..", "io.moextend.launch..")
          .should()
          .callMethodWhere(oneOf(READS, "reads the environment or a system property"))
          .because("what a class needs is in its constructor");

  /** The tokenizer's native library can be told to stay off the network in no other way. */
  @ArchTest
  static final ArchRule nothingIsSetForTheWholeProcess =
      noClasses()
          .that()
          .doNotHaveFullyQualifiedName("io.moextend.text.Tokenizer")
          .should()
          .callMethodWhere(oneOf(WRITES, "changes the process"))
          .because("two runs in one process must not see each other");

  @ArchTest
  static final ArchRule noStaticFieldChanges =
      fields().that().areStatic().should().beFinal().because("there is no global state");

  private static DescribedPredicate<JavaCall<?>> oneOf(
      Map<Class<?>, Set<String>> methods, String what) {
    return DescribedPredicate.describe(what, call -> isOneOf(methods, call));
  }

  private static boolean isOneOf(Map<Class<?>, Set<String>> methods, JavaAccess<?> call) {
    return methods.entrySet().stream()
        .anyMatch(
            m ->
                call.getTargetOwner().isEquivalentTo(m.getKey())
                    && m.getValue().contains(call.getTarget().getName()));
  }
}
