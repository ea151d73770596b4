package io.moextend.backend.cuda;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.moextend.backend.BackendException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;

/** NVIDIA's run-time compiler. Needs no card. */
final class Nvrtc {
  private static final int LOG_LINES = 12;

  private final NativeLibrary library;
  private final String version;

  /**
   * @param file of the library, or its name where the loader finds it
   */
  Nvrtc(Path file) {
    loadBuiltins(file);
    this.library = new NativeLibrary(file.toString());
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment numbers = arena.allocate(JAVA_INT, 2);
      run("nvrtcVersion", numbers.address(), numbers.address() + 4);
      version = numbers.getAtIndex(JAVA_INT, 0) + "." + numbers.getAtIndex(JAVA_INT, 1);
    }
  }

  /**
   * Loads what the library asks the loader for when it compiles: it lies beside it, where the
   * loader does not look, and is found once it is loaded.
   */
  private static void loadBuiltins(Path file) {
    Path folder = file.getParent();
    if (folder == null) {
      return;
    }
    try (DirectoryStream<Path> beside =
        Files.newDirectoryStream(folder, "libnvrtc-builtins.so.*")) {
      for (Path builtins : beside) {
        NativeLibrary.load(builtins.toString());
      }
    } catch (IOException e) {
      throw new BackendException("%s cannot be read: %s".formatted(folder, e.getMessage()), e);
    }
  }

  /** "12.4". */
  String version() {
    return version;
  }

  /** What it makes machine code for: 80, 90, … in order. */
  int[] architectures() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment count = arena.allocate(JAVA_INT);
      run("nvrtcGetNumSupportedArchs", count.address());
      MemorySegment all = arena.allocate(JAVA_INT, count.get(JAVA_INT, 0));
      run("nvrtcGetSupportedArchs", all.address());
      int[] sorted = all.toArray(JAVA_INT);
      Arrays.sort(sorted);
      return sorted;
    }
  }

  /**
   * Compiles a source.
   *
   * @param name for messages
   * @param machineCode true for a cubin, false for PTX
   * @throws BackendException with the compiler's own words where the source is wrong
   */
  byte[] compile(String name, String source, List<String> options, boolean machineCode) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment at = arena.allocate(JAVA_LONG);
      run(
          "nvrtcCreateProgram",
          at.address(),
          arena.allocateFrom(source).address(),
          arena.allocateFrom(name).address(),
          0,
          0L,
          0L);
      long program = at.get(JAVA_LONG, 0);
      try {
        MemorySegment list = arena.allocate(JAVA_LONG, options.size());
        for (int i = 0; i < options.size(); i++) {
          list.setAtIndex(JAVA_LONG, i, arena.allocateFrom(options.get(i)).address());
        }
        int result = library.call("nvrtcCompileProgram", program, options.size(), list.address());
        if (result != 0) {
          throw new BackendException(
              "NVRTC %s cannot compile %s with %s: %s"
                  .formatted(version, name, options, log(program)));
        }
        return machineCode
            ? output(program, "nvrtcGetCUBINSize", "nvrtcGetCUBIN")
            : output(program, "nvrtcGetPTXSize", "nvrtcGetPTX");
      } finally {
        library.call("nvrtcDestroyProgram", at.address());
      }
    }
  }

  private String log(long program) {
    byte[] text = output(program, "nvrtcGetProgramLogSize", "nvrtcGetProgramLog");
    return String.join(
        "\n",
        new String(text, StandardCharsets.UTF_8)
            .replace("\0", "")
            .lines()
            .filter(line -> !line.isBlank())
            .limit(LOG_LINES)
            .toList());
  }

  private byte[] output(long program, String sizeOf, String get) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment size = arena.allocate(JAVA_LONG);
      run(sizeOf, program, size.address());
      MemorySegment bytes = arena.allocate(Math.max(1, size.get(JAVA_LONG, 0)));
      run(get, program, bytes.address());
      return bytes.asSlice(0, size.get(JAVA_LONG, 0)).toArray(JAVA_BYTE);
    }
  }

  private void run(String function, Object... arguments) {
    int result = library.call(function, arguments);
    if (result != 0) {
      throw new BackendException(
          "%s of %s failed with error %d".formatted(function, library.name(), result));
    }
  }
}
