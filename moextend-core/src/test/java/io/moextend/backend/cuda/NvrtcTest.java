package io.moextend.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.backend.BackendException;
import io.moextend.backend.Card.Found;
import io.moextend.backend.LibrarySearch;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.opentest4j.TestAbortedException;

/**
 * The run-time compiler through our binding; it needs no card. Found on the loader's path, through
 * the Python on PATH, or in the folder that the variable MOEXTEND_CUDA_LIBS names. With
 * MOEXTEND_CUDA_CACHE the kernels are kept in that folder, ready for a machine with a card and the
 * same version of NVRTC.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class NvrtcTest {
  private Nvrtc nvrtc;
  @TempDir private Path folder;

  @BeforeAll
  void find() {
    String named = System.getenv().getOrDefault("MOEXTEND_CUDA_LIBS", "");
    List<Path> commands =
        Arrays.stream(System.getenv().getOrDefault("PATH", "").split(File.pathSeparator, -1))
            .map(Path::of)
            .toList();
    var search =
        new LibrarySearch(named.isEmpty() ? List.of() : List.of(Path.of(named)), commands, null);
    Found found = new CudaLibraries(search).find("nvrtc", 13, 12);
    if (found.file() == null) {
      String line = "NOT TESTED: kernels compiled by NVRTC; " + found.text();
      System.out.println(line);
      throw new TestAbortedException(line);
    }
    nvrtc = new Nvrtc(found.file());
  }

  @ParameterizedTest
  @EnumSource(Source.class)
  void everySourceCompilesForA100AndH100(Source source) {
    String kept = System.getenv().getOrDefault("MOEXTEND_CUDA_CACHE", "");
    KernelCache cache = kept.isEmpty() ? null : new KernelCache(Path.of(kept));
    for (int architecture : new int[] {80, 90}) {
      byte[] image =
          new KernelCompiler(nvrtc, architecture, cache).image(source.file(), source.text());
      assertThat(Arrays.copyOf(image, 4))
          .as("an ELF file for sm_%d", architecture)
          .containsExactly(0x7f, 'E', 'L', 'F');
    }
  }

  @Test
  void aCardThatTheCompilerDoesNotKnowYetGetsPtx() {
    String source = "extern \"C\" __global__ void one(int* out) { *out = MOEXTEND_SM; }";
    var compiler = new KernelCompiler(nvrtc, 999, null);
    int latest = Arrays.stream(nvrtc.architectures()).max().orElseThrow();
    assertThat(compiler.options()).contains("--gpu-architecture=compute_" + latest);
    assertThat(new String(compiler.image("one.cu", source), StandardCharsets.US_ASCII))
        .contains(".entry one");
  }

  @Test
  void aMistakeInASourceIsToldInTheCompilersWords() {
    assertThatThrownBy(
            () ->
                new KernelCompiler(nvrtc, 80, null).image("wrong.cu", "__global__ void k() { x; }"))
        .isInstanceOf(BackendException.class)
        .hasMessageContaining("wrong.cu")
        .hasMessageContaining("identifier \"x\" is undefined");
  }

  @Test
  void aKernelIsCompiledOnceAndAgainWhenItsSourceChanged() throws IOException {
    Path own = folder.resolve("cache");
    var cache = new KernelCache(own);
    var made = new AtomicInteger();
    var contents = new ArrayList<byte[]>();
    for (String key : List.of("a", "b", "a")) {
      contents.add(
          cache.get(
              "element-sm80",
              key,
              () -> {
                made.incrementAndGet();
                return key.getBytes(StandardCharsets.US_ASCII);
              }));
    }
    assertThat(made).hasValue(2);
    assertThat(contents.get(2)).isEqualTo(contents.get(0)).isNotEqualTo(contents.get(1));
    try (Stream<Path> files = Files.list(own)) {
      assertThat(files).hasSize(2).allMatch(f -> f.getFileName().toString().endsWith(".bin"));
    }
    Files.setPosixFilePermissions(own, PosixFilePermissions.fromString("rwxrwxrwx"));
    assertThatThrownBy(() -> new KernelCache(own))
        .isInstanceOf(BackendException.class)
        .hasMessageContaining("others can write");
  }
}
