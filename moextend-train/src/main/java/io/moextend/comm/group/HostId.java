package io.moextend.comm.group;

import io.moextend.config.ConfigException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** A word for what processes must have in common to share memory: the kernel and its mounts. */
final class HostId {
  private static final Path BOOT = Path.of("/proc/sys/kernel/random/boot_id");
  private static final Path MOUNTS = Path.of("/proc/self/ns/mnt");

  private HostId() {}

  /** The kernel's boot id with the mount namespace: two containers of one host are two hosts. */
  static String here() {
    try {
      return Files.readString(BOOT).strip() + "/" + Files.readSymbolicLink(MOUNTS);
    } catch (IOException e) {
      throw new ConfigException(
          "cannot tell which ranks share this host (%s); set MOEXTEND_HOST_ID to a word of its own on each host"
              .formatted(e),
          e);
    }
  }
}
