package io.moextend.backend.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URISyntaxException;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.opentest4j.TestAbortedException;

/**
 * The kernels' own sources compiled by g++ into a library that runs them on the CPU; emulator.hpp
 * says what of a device it keeps. Built once, and again where a source changed.
 */
final class Emulator {
  /** Compilers that run at a time. */
  private static final int TOGETHER = 2;

  private static final List<String> FLAGS =
      List.of("-std=c++17", "-O1", "-fPIC", "-fno-strict-aliasing", "-ffp-contract=off");

  private Emulator() {}

  /** The library; a test that asks for it is skipped where there is no g++. */
  static synchronized Path library() {
    requireCompiler();
    return built("emulator", Emulator::compile);
  }

  /** A program that tests the emulator, and kernels at the edge of memory, from C++. */
  static synchronized Path selfTest() {
    Path library = library();
    return built(
        "selftest",
        (kernels, mine, into) -> {
          List<String> command = new ArrayList<>(List.of("g++"));
          command.addAll(FLAGS);
          command.add(mine.resolve("selftest.cpp").toString());
          command.addAll(List.of(library.toString(), "-o", into.toString()));
          await(start(command, parent(into)), parent(into));
        });
  }

  @FunctionalInterface
  private interface Build {
    /**
     * @param kernels the folder of the kernels' sources
     * @param mine the folder of the emulator's
     */
    void run(Path kernels, Path mine, Path into) throws IOException;
  }

  /** What {@code build} makes of the sources as they are, made once. */
  private static Path built(String name, Build build) {
    try {
      Path kernels = folder("/io/moextend/backend/cuda/common.cuh");
      Path mine = folder("/io/moextend/backend/cuda/emulator.hpp");
      Path folder = Files.createDirectories(Path.of("target", "emulator").toAbsolutePath());
      Path wanted = folder.resolve(name + "-" + digest(kernels, mine));
      if (!Files.exists(wanted)) {
        Path fresh = Files.createTempDirectory(folder, "build").resolve(name);
        build.run(kernels, mine, fresh);
        Files.move(fresh, wanted, StandardCopyOption.ATOMIC_MOVE);
      }
      return wanted;
    } catch (IOException e) {
      throw new UncheckedIOException("building the emulator", e);
    }
  }

  private static Path parent(Path file) {
    return Objects.requireNonNull(file.getParent());
  }

  private static void requireCompiler() {
    boolean found;
    try {
      found =
          new ProcessBuilder("g++", "--version").redirectErrorStream(true).start().waitFor() == 0;
    } catch (IOException e) {
      found = false;
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
    if (!found) {
      throw new TestAbortedException(
          "NOT TESTED: CUDA kernels in the emulator; there is no g++ on the path");
    }
  }

  /** Every .cu, in order of name. */
  static List<Path> kernelSources(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.filter(f -> f.toString().endsWith(".cu")).sorted().toList();
    }
  }

  static Path folder(String resource) {
    URL url = Objects.requireNonNull(Emulator.class.getResource(resource), resource);
    try {
      return Objects.requireNonNull(Path.of(url.toURI()).getParent());
    } catch (URISyntaxException e) {
      throw new AssertionError(e);
    }
  }

  /** Every kernel and the emulator into one library. */
  private static void compile(Path kernels, Path mine, Path into) throws IOException {
    Path work = parent(into);
    List<Path> sources = new ArrayList<>(kernelSources(kernels));
    sources.add(mine.resolve("emulator.cpp"));
    sources.add(mine.resolve("instructions.cpp"));
    List<String> link = new ArrayList<>(List.of("g++", "-shared", "-o", into.toString()));
    List<Process> running = new ArrayList<>();
    for (Path source : sources) {
      Path object = work.resolve(source.getFileName() + ".o");
      List<String> command = new ArrayList<>(List.of("g++"));
      command.addAll(FLAGS);
      if (source.toString().endsWith(".cu")) {
        command.addAll(List.of("-include", mine.resolve("emulator.hpp").toString()));
        command.addAll(List.of("-include", kernels.resolve("common.cuh").toString(), "-x", "c++"));
      }
      command.addAll(List.of("-c", source.toString(), "-o", object.toString()));
      link.add(object.toString());
      running.add(start(command, work));
      if (running.size() == TOGETHER) {
        await(running.removeFirst(), work);
      }
    }
    for (Process p : running) {
      await(p, work);
    }
    await(start(link, work), work);
  }

  private static Process start(List<String> command, Path work) throws IOException {
    return new ProcessBuilder(command)
        .redirectErrorStream(true)
        .redirectOutput(ProcessBuilder.Redirect.appendTo(work.resolve("log").toFile()))
        .start();
  }

  private static void await(Process process, Path work) throws IOException {
    try {
      int code = process.waitFor();
      assertThat(code).as(() -> "g++ on the kernels: " + read(work.resolve("log"))).isEqualTo(0);
    } catch (InterruptedException e) {
      throw new IOException("interrupted", e);
    }
  }

  private static String read(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static boolean isSource(Path file) {
    String name = file.toString();
    return name.endsWith(".cu")
        || name.endsWith(".cuh")
        || name.endsWith(".hpp")
        || name.endsWith(".cpp");
  }

  private static String digest(Path... folders) throws IOException {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      digest.update(FLAGS.toString().getBytes(StandardCharsets.UTF_8));
      for (Path folder : folders) {
        try (Stream<Path> files = Files.list(folder)) {
          for (Path file : files.filter(Emulator::isSource).sorted().toList()) {
            digest.update(Files.readAllBytes(file));
          }
        }
      }
      return HexFormat.of().formatHex(digest.digest()).substring(0, 16);
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError(e);
    }
  }
}
