package io.moextend.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.backend.BackendProvider;
import io.moextend.backend.Backends;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.opentest4j.TestAbortedException;
import picocli.CommandLine;

class CudaOptionsTest {
  @TempDir Path folder;

  @CommandLine.Command
  private static final class Any {
    @CommandLine.Mixin private final CudaOptions cuda = new CudaOptions();
  }

  private static CudaOptions parsed(String... args) {
    var any = new Any();
    new CommandLine(any).parseArgs(args);
    return any.cuda;
  }

  @Test
  void theCommandLineComesBeforeTheEnvironmentAndTheBuild() throws Exception {
    Path fetched = Files.createDirectories(folder.resolve("moextend-launch/target/cuda-libs"));
    var environment =
        Map.of("MOEXTEND_CUDA_LIBS", "/a:/b", "PATH", "/bin::/usr/bin", "VIRTUAL_ENV", "/venv");
    var search =
        parsed("--cuda-libs", "/x", "--cuda-libs=/y").search(environment, folder.toString());
    assertThat(search.given())
        .containsExactly(Path.of("/x"), Path.of("/y"), Path.of("/a"), Path.of("/b"), fetched);
    assertThat(search.commands())
        .containsExactly(Path.of("/venv/bin"), Path.of("/bin"), Path.of("/usr/bin"));
    assertThat(search.cache()).isNull();
  }

  @Test
  void compiledKernelsGoWhereTheUserKeepsCaches() {
    var environment = Map.of("XDG_CACHE_HOME", "/caches", "HOME", "/home/me");
    assertThat(parsed("--cuda-cache=/own").search(environment, null).cache())
        .isEqualTo(Path.of("/own"));
    assertThat(parsed().search(environment, null).cache())
        .isEqualTo(Path.of("/caches/moextend/cuda"));
    assertThat(parsed().search(Map.of("HOME", "/home/me"), null).cache())
        .isEqualTo(Path.of("/home/me/.cache/moextend/cuda"));
  }

  @Test
  void theDoctorSaysInALineWhatEachPartOfCudaIs() {
    Ran ran = Ran.moextend("doctor", "--cuda-libs", folder);
    assertThat(ran.code()).isZero();
    List<String> lines = ran.out().lines().filter(line -> line.contains(" cuda ")).toList();
    assertThat(lines).hasSize(5);
    assertThat(lines.get(0)).startsWith("backend   cuda ");
    assertThat(lines).anyMatch(line -> line.contains("nvrtc"));
    assertThat(lines).anyMatch(line -> line.contains("cublasLt"));
  }

  @Test
  void withoutACardTheBackendIsRefusedInOneLine() {
    boolean here =
        Backends.known().stream()
            .filter(p -> p.name().equals("cuda"))
            .anyMatch(p -> p.missing(new BackendProvider.Options(1, 0)).isEmpty());
    if (here) {
      throw new TestAbortedException("NOT TESTED: --backend cuda without a card; one is here");
    }
    Ran ran =
        Ran.moextend(
            "bench", "step", "--backend=cuda", "--stage=alignment", "--size=64,128,1,2,64,1,144");
    assertThat(ran.code()).isEqualTo(2);
    assertThat(ran.err().strip().lines()).hasSize(1);
    assertThat(ran.err()).startsWith("moextend: backend cuda cannot run here: ");
  }
}
