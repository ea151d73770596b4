package io.moextend;

import static com.tngtech.archunit.base.DescribedPredicate.not;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideOutsideOfPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideOutsideOfPackages;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.type;
import static com.tngtech.archunit.core.domain.properties.HasName.Predicates.name;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;
import io.moextend.comm.PeerLostException;
import io.moextend.comm.Vigil;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** Who may use whom: docs/architecture.md in a form that fails. */
@AnalyzeClasses(packages = "io.moextend", importOptions = ProjectClasses.class)
class PackageDirectionTest {
  private static final String ROOT = "io.moextend.";

  /** Each package with those it may use beside itself; a new package has to be entered here. */
  private static final Map<String, Set<String>> MAY_USE = mayUse();

  private static Map<String, Set<String>> mayUse() {
    var map = new TreeMap<String, Set<String>>();
    map.put("array", Set.of());
    map.put("text", Set.of());
    map.put("backend", Set.of("array"));
    map.put("autograd", Set.of("array", "backend"));
    map.put("checkpoint", Set.of("array"));
    map.put("config", Set.of("backend")); // the name of an activation
    map.put("op", with(map.get("autograd"), "autograd"));
    map.put("nn", with(map.get("op"), "op"));
    Set<String> parts = with(map.get("nn"), "nn", "config");
    map.put("moe", parts);
    map.put("adapter", with(parts, "checkpoint"));
    map.put("vision", parts);
    map.put("model", with(parts, "moe", "adapter", "vision", "checkpoint", "text"));
    map.put("optim", Set.of("array", "autograd", "backend", "config"));
    map.put("comm", Set.of("array", "backend", "config"));
    map.put("shard", with(map.get("model"), "model", "optim", "comm"));
    map.put("data", Set.of("array", "backend", "config", "text"));
    Set<String> works = with(map.get("model"), "model", "shard", "optim", "comm", "data");
    for (String work : Set.of("stage", "train", "eval", "report", "demo", "bench")) {
      map.put(work, with(works, "stage", "train", "eval", "report", "demo", "bench"));
    }
    map.put("launch", Set.of("config", "comm"));
    map.put("cli", with(map.get("train"), "launch"));
    return map;
  }

  private static Set<String> with(Set<String> set, String... more) {
    return Stream.concat(set.stream(), Stream.of(more)).collect(Collectors.toUnmodifiableSet());
  }

  @ArchTest
  static void aPackageUsesOnlyThoseBelowIt(JavaClasses all) {
    MAY_USE.forEach(
        (name, used) -> {
          String[] allowed =
              Stream.concat(Stream.of(name), used.stream())
                  .map(p -> ROOT + p + "..")
                  .toArray(String[]::new);
          classes()
              .that()
              .resideInAPackage(ROOT + name + "..")
              .should()
              .onlyDependOnClassesThat(
                  resideOutsideOfPackage("io.moextend..").or(resideInAnyPackage(allowed)))
              .allowEmptyShould(true)
              .because(name + " may use " + used + " alone (MAY_USE in this test)")
              .check(all);
        });
  }

  @ArchTest
  static void everyPackageHasItsPlaceInTheOrder(JavaClasses all) {
    Set<String> known =
        MAY_USE.keySet().stream().map(p -> ROOT + p).collect(Collectors.toUnmodifiableSet());
    assertThat(all)
        .as("classes outside the packages of MAY_USE")
        .allMatch(
            c ->
                known.stream()
                    .anyMatch(
                        p ->
                            c.getPackageName().equals(p) || c.getPackageName().startsWith(p + ".")),
            "is in a known package");
  }

  @ArchTest
  static final ArchRule packagesHaveNoCycles =
      slices().matching("io.moextend.(*)..").should().beFreeOfCycles();

  @ArchTest
  static final ArchRule onlyItsBackendKnowsNd4j =
      noClasses()
          .that()
          .resideOutsideOfPackage("io.moextend.backend.nd4j..")
          .should()
          .dependOnClassesThat()
          .resideInAnyPackage("org.nd4j..", "org.bytedeco..")
          .because("ND4J is one backend behind the seam");

  /** Copy device arrays to the host while a checkpoint or a model is written. */
  private static final String COPIES_FOR_CHECKPOINTS = "io\\.moextend\\.train\\.DeviceTensor";

  @ArchTest
  static final ArchRule rawMemoryIsTouchedByBackendsCheckpointsAndWiresAlone =
      noClasses()
          .that()
          .resideOutsideOfPackages(
              "io.moextend.backend..", "io.moextend.checkpoint..", "io.moextend.comm..")
          .and()
          .haveNameNotMatching(COPIES_FOR_CHECKPOINTS)
          .should()
          .dependOnClassesThat(resideInAPackage("java.lang.foreign..").or(name("sun.misc.Unsafe")))
          .because("models, ops and the loop see Arrays; their owner is an Arena");

  @ArchTest
  static final ArchRule theLauncherLoadsNoModel =
      noClasses()
          .that()
          .resideInAnyPackage("io.moextend.launch..", "io.moextend.comm.group..")
          .should()
          .dependOnClassesThat(
              resideOutsideOfPackages(
                      "java..",
                      "javax.crypto..",
                      "sun.misc..",
                      "org.jspecify..",
                      "com.google.errorprone.annotations..",
                      "io.moextend.launch..",
                      "io.moextend.comm.group..",
                      "io.moextend.config..")
                  .and(not(type(Vigil.class)))
                  .and(not(type(PeerLostException.class))))
          .because("its process must start at once");
}
