package io.moextend.backend.cuda;

import io.moextend.backend.BackendException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Set;
import java.util.function.Supplier;

/**
 * Compiled kernels in a folder of the user's own, a file each, named by a hash of all that went
 * into it. What is in a file runs on the card, so a folder that others can write to is refused.
 */
final class KernelCache {
  private static final Set<PosixFilePermission> OWNERS =
      PosixFilePermissions.fromString("rwx------");

  private final Path folder;

  /**
   * @param folder made where it is not there
   */
  KernelCache(Path folder) {
    this.folder = folder;
    try {
      if (!Files.isDirectory(folder, LinkOption.NOFOLLOW_LINKS)) {
        Files.createDirectories(folder, PosixFilePermissions.asFileAttribute(OWNERS));
      }
      Set<PosixFilePermission> permissions = Files.getPosixFilePermissions(folder);
      if (permissions.contains(PosixFilePermission.GROUP_WRITE)
          || permissions.contains(PosixFilePermission.OTHERS_WRITE)) {
        throw new BackendException(
            "compiled kernels are not kept in %s, which others can write to; chmod go-w it, or name another folder with --cuda-cache DIR"
                .formatted(folder));
      }
    } catch (IOException e) {
      throw new BackendException(
          "compiled kernels cannot be kept in %s (%s); name another folder with --cuda-cache DIR"
              .formatted(folder, e),
          e);
    }
  }

  /**
   * @param name what a file's name begins with
   * @param key all that the content depends on
   */
  byte[] get(String name, String key, Supplier<byte[]> make) {
    Path file = folder.resolve(name + "-" + hash(key) + ".bin");
    try {
      if (Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)) {
        return Files.readAllBytes(file);
      }
      byte[] made = make.get();
      Path staged = Files.createTempFile(folder, ".staged-", null);
      try {
        Files.write(staged, made);
        Files.move(staged, file, StandardCopyOption.ATOMIC_MOVE);
      } finally {
        Files.deleteIfExists(staged);
      }
      return made;
    } catch (IOException e) {
      throw new BackendException(
          "%s cannot be read or written (%s); delete it, or name another folder with --cuda-cache DIR"
              .formatted(file, e),
          e);
    }
  }

  private static String hash(String key) {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      return HexFormat.of().formatHex(digest.digest(key.getBytes(StandardCharsets.UTF_8)));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every JDK has SHA-256", e);
    }
  }
}
