package io.moextend.train;

import java.io.IOException;
import java.nio.file.Path;

/**
 * Something a checkpoint holds beside the {@link RunState}. Only {@link #load} may exchange
 * anything with other ranks: whatever fails elsewhere on one rank is told to all of them.
 */
public interface CheckpointPart {
  /**
   * Writes this rank's files into {@code folder}, which is not visible under its name yet. On every
   * rank at once.
   *
   * @param peers says who this is
   */
  void save(Path folder, Peers peers) throws IOException;

  /** Writes what says that all ranks' files are there; on rank 0, when every {@link #save} is. */
  default void seal(Path folder, Peers peers) throws IOException {}

  /** Checks before anything is changed that what was saved is whole and fits; on every rank. */
  default void check(Path folder, Peers peers) {}

  /** Takes back what {@link #save} wrote; on every rank, when every {@link #check} has passed. */
  default void load(Path folder, Peers peers) {}
}
