package io.moextend.backend;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFileAttributes;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Locale;
import java.util.Set;
import java.util.UUID;

/**
 * What lies in the folder of a {@link HostShare}: HASH.block for each whole block,
 * HASH.incomplete-MAKER for one in the making, and {@code locks}, a file whose byte ranges say who
 * makes what and whether anybody is there.
 *
 * @param path of the folder
 */
record ShareFolder(Path path) {
  /** Every process that is there has a byte from here on locked. */
  static final long ALIVE = 1L << 62;

  static final long ALL_ALIVE = Long.MAX_VALUE - ALIVE;

  private static final String BLOCK = ".block";
  private static final String INCOMPLETE = ".incomplete-";
  private static final Set<PosixFilePermission> OWN = PosixFilePermissions.fromString("rwx------");

  Path locks() {
    return path.resolve("locks");
  }

  Path block(String hash) {
    return path.resolve(hash + BLOCK);
  }

  Path incomplete(String hash, String maker) {
    return path.resolve(hash + INCOMPLETE + maker);
  }

  static String hash(String name) {
    try {
      byte[] all =
          MessageDigest.getInstance("SHA-256").digest(name.getBytes(StandardCharsets.UTF_8));
      return HexFormat.of().formatHex(all, 0, 20);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }

  /** The byte that is locked by who makes a block. */
  static long lockOf(String hash) {
    return HexFormat.fromHexDigitsToLong(hash, 0, 15);
  }

  /** Makes the folder and its lock file where they are not there, and checks whose it is. */
  void found() throws IOException {
    try {
      Files.createDirectory(path, PosixFilePermissions.asFileAttribute(OWN));
    } catch (FileAlreadyExistsException e) {
      // Another process of the run was here first, or somebody else: see below.
    }
    if (!isOwn()) {
      throw new BackendException(
          path + " is not a folder of this user with mode 700; remove it or name another");
    }
    try {
      Files.createFile(locks());
    } catch (FileAlreadyExistsException | NoSuchFileException e) {
      // There already, or removed again by the last who left: the caller sees to it.
    }
  }

  private boolean isOwn() throws IOException {
    try {
      PosixFileAttributes found =
          Files.readAttributes(path, PosixFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
      return found.isDirectory()
          && found.owner().equals(Files.getOwner(Path.of("/proc/self")))
          && found.permissions().equals(OWN);
    } catch (NoSuchFileException e) {
      return true;
    }
  }

  /** The lock file's inode: another one once the folder was removed and founded anew. */
  Object identity() throws IOException {
    return Files.getAttribute(locks(), "unix:ino");
  }

  /** What makers that died left of a block; the caller has its lock. */
  void removeIncomplete(String hash) throws IOException {
    try (DirectoryStream<Path> left = Files.newDirectoryStream(path, hash + INCOMPLETE + "*")) {
      for (Path file : left) {
        Files.deleteIfExists(file);
      }
    }
  }

  /** Moved away first, so that nobody joins what is being deleted. */
  void remove() throws IOException {
    Path gone = path.resolveSibling(path.getFileName() + ".gone-" + UUID.randomUUID());
    try {
      Files.move(path, gone, StandardCopyOption.ATOMIC_MOVE);
    } catch (NoSuchFileException e) {
      return;
    }
    try (DirectoryStream<Path> files = Files.newDirectoryStream(gone)) {
      for (Path file : files) {
        Files.delete(file);
      }
    }
    Files.delete(gone);
  }

  BackendException failure(String what, IOException cause) {
    String reason = cause.getMessage() == null ? cause.toString() : cause.getMessage();
    return new BackendException(
        "%s: %s (%s); %s there. Give it more room (a container's --shm-size), name a folder elsewhere, or run without sharing"
            .formatted(path, what, reason, room()),
        cause);
  }

  private String room() {
    try {
      Path there = Files.exists(path) || path.getParent() == null ? path : path.getParent();
      double free = Files.getFileStore(there).getUsableSpace() / 1e9;
      return String.format(Locale.ROOT, "%.2f GB are free", free);
    } catch (IOException e) {
      return "the room left is unknown";
    }
  }

  @Override
  public String toString() {
    return path.toString();
  }
}
