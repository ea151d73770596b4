package io.moextend.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.backend.LibrarySearch;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CudaLibrariesTest {
  @TempDir private Path folder;
  private Path system;

  @BeforeEach
  void noToolkit() throws IOException {
    system = Files.createDirectory(folder.resolve("system"));
  }

  private Path file(String path) throws IOException {
    Path file = folder.resolve(path);
    Files.createDirectories(file.getParent());
    return Files.write(file, new byte[1]);
  }

  private CudaLibraries libraries(List<Path> given, List<Path> commands) {
    return new CudaLibraries(new LibrarySearch(given, commands, null), system, name -> false);
  }

  @Test
  void thePreferredVersionIsTakenFromAnyPlaceBeforeTheNext() throws IOException {
    Path old = file("named/libnvrtc.so.12");
    Path latest = file("system/cuda-13.0/lib64/libnvrtc.so.13");
    CudaLibraries libraries = libraries(List.of(folder.resolve("named")), List.of());
    assertThat(libraries.find("nvrtc", 13, 12).file()).isEqualTo(latest);
    assertThat(libraries.find("nvrtc", 12).file()).isEqualTo(old);
    assertThat(libraries.find("nvrtc", 12).text()).isEqualTo(old.toString());
  }

  @Test
  void aFolderThatWasNamedComesFirstThenTheLoadersPathThenAPython() throws IOException {
    Path named = file("named/lib64/libcublasLt.so.13");
    file("env/bin/python3");
    Path wheel = file("env/lib/python3.11/site-packages/nvidia/cu13/lib/libcublasLt.so.13");
    List<Path> commands = List.of(folder.resolve("none"), folder.resolve("env/bin"));
    assertThat(libraries(List.of(folder.resolve("named")), commands).find("cublasLt", 13).file())
        .isEqualTo(named);
    assertThat(libraries(List.of(), commands).find("cublasLt", 13).file()).isEqualTo(wheel);
    var loaders =
        new CudaLibraries(
            new LibrarySearch(List.of(), commands, null), system, "libcublasLt.so.13"::equals);
    assertThat(loaders.find("cublasLt", 13).file()).isEqualTo(Path.of("libcublasLt.so.13"));
    assertThat(loaders.find("cublasLt", 13).text()).contains("on the loader's path");
  }

  @Test
  void aPythonEnvironmentMayBeNamed() throws IOException {
    Path wheel = file("venv/lib/python3.12/site-packages/nvidia/cuda_nvrtc/lib/libnvrtc.so.12");
    assertThat(libraries(List.of(folder.resolve("venv")), List.of()).find("nvrtc", 12).file())
        .isEqualTo(wheel);
  }

  @Test
  void aPythonThatIsALinkHasThePackagesOfBothPlaces() throws IOException {
    file("real/bin/python3.11");
    Path wheel = file("real/lib/python3.11/dist-packages/nvidia/nccl/lib/libnccl.so.2");
    Path link = Files.createDirectories(folder.resolve("linked/bin")).resolve("python3");
    Files.createSymbolicLink(link, folder.resolve("real/bin/python3.11"));
    assertThat(libraries(List.of(), List.of(link.getParent())).find("nccl", 2).file())
        .isEqualTo(wheel.toRealPath());
  }

  @Test
  void whatIsMissingIsNamedInOneLineWithTheMend() {
    var found = libraries(List.of(folder), List.of()).find("nvrtc", 13, 12);
    assertThat(found.file()).isNull();
    assertThat(found.text())
        .doesNotContain("\n")
        .contains("libnvrtc.so.13 or libnvrtc.so.12")
        .contains("pip install nvidia-cuda-nvrtc")
        .contains("--cuda-libs");
    assertThat(libraries(List.of(), List.of()).find("cublasLt", 12).text())
        .contains("pip install nvidia-cublas-cu12");
  }

  @Test
  void aMachineWithoutADriverIsToldSoInOneLine() {
    var installation = new CudaInstallation(0, libraries(List.of(), List.of()));
    if (NativeLibrary.isOnLoadersPath(DriverApi.LIBRARY)) {
      assertThat(installation.lines()).hasSize(4);
      return;
    }
    assertThat(installation.missing())
        .doesNotContain("\n")
        .contains("libcuda.so.1")
        .contains("install the NVIDIA driver")
        .contains("--backend cpu");
    assertThat(installation.lines()).hasSize(4).allMatch(line -> !line.contains("\n"));
    assertThat(new CudaBackendProvider().missing()).isEqualTo(installation.missing());
  }
}
