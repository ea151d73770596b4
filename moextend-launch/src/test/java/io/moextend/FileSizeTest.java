package io.moextend;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A file is what a reader takes in at one sitting. */
class FileSizeTest {
  @ParameterizedTest
  @CsvSource({"main, 300", "test, 400"})
  void noJavaFileIsLongerThanAReaderWillRead(String kind, int most) throws IOException {
    var tooLong = new ArrayList<String>();
    for (Path file : Sources.java(kind)) {
      long lines = lines(file);
      if (lines > most) {
        tooLong.add("%s has %d lines".formatted(Sources.root().relativize(file), lines));
      }
    }
    assertThat(tooLong).as("more than %d lines; split by what they are about", most).isEmpty();
  }

  @Test
  void theSourcesAreFound() {
    List<String> names =
        Sources.java("main").stream().map(f -> f.getFileName().toString()).toList();
    assertThat(names).contains("Tape.java", "Trainer.java", "MoExtend.java");
  }

  private static long lines(Path file) throws IOException {
    try (var lines = Files.lines(file)) {
      return lines.count();
    }
  }
}
