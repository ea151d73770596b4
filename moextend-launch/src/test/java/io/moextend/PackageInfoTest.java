package io.moextend;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/** Null is annotated or absent, in every package, and every package says what it is. */
class PackageInfoTest {
  @Test
  void everyPackageIsNullMarkedAndSaysWhatItHolds() throws IOException {
    Set<Path> folders =
        Sources.java("main").stream()
            .map(Path::getParent)
            .collect(Collectors.toCollection(TreeSet::new));
    assertThat(folders).isNotEmpty();
    for (Path folder : folders) {
      Path info = folder.resolve("package-info.java");
      assertThat(info).as("a package without package-info.java").exists();
      assertThat(Files.readString(info))
          .as("%s", Sources.root().relativize(info))
          .startsWith("/**")
          .contains("@NullMarked");
    }
  }
}
