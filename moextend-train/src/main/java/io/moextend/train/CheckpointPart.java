package io.moextend.train;

import java.io.IOException;
import java.nio.file.Path;

/** Something a checkpoint holds beside the {@link RunState}. Called on every rank. */
public interface CheckpointPart {
  /**
   * Writes its files into {@code folder}, which is not visible under its name yet.
   *
   * @param peers says who writes what only one rank should write
   */
  void save(Path folder, Peers peers) throws IOException;

  /** Takes back what {@link #save} wrote, or checks that it fits. */
  void load(Path folder, Peers peers);
}
