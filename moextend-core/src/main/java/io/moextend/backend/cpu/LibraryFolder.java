package io.moextend.backend.cpu;

import io.moextend.backend.BackendException;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.net.URL;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermission;
import java.util.List;
import java.util.Set;

/**
 * The folder oneDNN is loaded from: its two files copied once out of the jar on the class path into
 * the temporary folder, under the user's name, by whichever process comes first.
 */
final class LibraryFolder {
  private static final String RESOURCES = "org/bytedeco/dnnl/linux-x86_64/";
  private static final String LIBRARY = "libdnnl.so.3";
  private static final List<String> FILES = List.of(LIBRARY, "libgomp.so.1");

  private LibraryFolder() {}

  /** Why oneDNN cannot be had here, with the mend; empty where it can. */
  static String missing() {
    var system = ManagementFactory.getOperatingSystemMXBean();
    if (!system.getName().equals("Linux")
        || !Set.of("amd64", "x86_64").contains(system.getArch())) {
      return "oneDNN comes for Linux x86-64 and this is %s %s; use --backend nd4j"
          .formatted(system.getName(), system.getArch());
    }
    for (String file : FILES) {
      if (resource(file) == null) {
        return "%s%s is not on the class path; add org.bytedeco:dnnl with the classifier linux-x86_64"
            .formatted(RESOURCES, file);
      }
    }
    return "";
  }

  /** Where libdnnl.so.3 lies, with libgomp.so.1 beside it. */
  static Path library() {
    try {
      Path staging = Files.createTempDirectory("moextend-onednn-");
      try {
        return folder(staging).resolve(LIBRARY);
      } finally {
        delete(staging);
      }
    } catch (IOException e) {
      throw new BackendException(
          "oneDNN could not be unpacked: %s; give a writable folder with -Djava.io.tmpdir"
              .formatted(e.getMessage()),
          e);
    }
  }

  private static Path folder(Path staging) throws IOException {
    String owner = Files.getOwner(staging).getName();
    Path folder = staging.resolveSibling("moextend-onednn-%s-%d".formatted(owner, size(LIBRARY)));
    if (isWhole(folder, owner)) {
      return folder;
    }
    for (String file : FILES) {
      try (InputStream in = open(file)) {
        Files.copy(in, staging.resolve(file));
      }
    }
    delete(folder); // an incomplete one of ours
    try {
      return Files.move(staging, folder, StandardCopyOption.ATOMIC_MOVE);
    } catch (FileSystemException e) {
      if (isWhole(folder, owner)) {
        return folder; // another process was faster
      }
      throw e;
    }
  }

  /** True where all files are there; throws where somebody else could have put them there. */
  private static boolean isWhole(Path folder, String owner) throws IOException {
    if (!Files.isDirectory(folder, LinkOption.NOFOLLOW_LINKS)) {
      return false;
    }
    Set<PosixFilePermission> permissions = Files.getPosixFilePermissions(folder);
    if (!Files.getOwner(folder).getName().equals(owner)
        || permissions.contains(PosixFilePermission.GROUP_WRITE)
        || permissions.contains(PosixFilePermission.OTHERS_WRITE)) {
      throw new BackendException(
          "%s can be written by others and nothing is loaded from it; delete it or give another folder with -Djava.io.tmpdir"
              .formatted(folder));
    }
    for (String file : FILES) {
      Path path = folder.resolve(file);
      if (!Files.isRegularFile(path) || Files.size(path) != size(file)) {
        return false;
      }
    }
    return true;
  }

  private static void delete(Path folder) throws IOException {
    if (Files.isDirectory(folder, LinkOption.NOFOLLOW_LINKS)) {
      for (String file : FILES) {
        Files.deleteIfExists(folder.resolve(file));
      }
      Files.delete(folder);
    }
  }

  private static long size(String file) throws IOException {
    var connection = found(file).openConnection();
    connection.setUseCaches(false);
    try (InputStream in = connection.getInputStream()) {
      long size = connection.getContentLengthLong();
      return size >= 0 ? size : in.transferTo(java.io.OutputStream.nullOutputStream());
    }
  }

  private static InputStream open(String file) throws IOException {
    var connection = found(file).openConnection();
    connection.setUseCaches(false);
    return connection.getInputStream();
  }

  private static URL found(String file) {
    URL url = resource(file);
    if (url == null) {
      throw new UncheckedIOException(new IOException(missing()));
    }
    return url;
  }

  private static @org.jspecify.annotations.Nullable URL resource(String file) {
    return LibraryFolder.class.getClassLoader().getResource(RESOURCES + file);
  }
}
