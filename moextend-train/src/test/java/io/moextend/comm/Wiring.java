package io.moextend.comm;

import java.nio.file.Path;

/**
 * A way to connect ranks that the contract is tested on.
 *
 * @param name for people
 * @param hosts sums are first taken within each
 * @param locals ranks of a host
 * @param maker makes a fresh world
 */
public record Wiring(String name, int hosts, int locals, Maker maker) {
  /** Makes a world in an empty folder of its own. */
  @FunctionalInterface
  public interface Maker {
    World make(Path folder, Wiring wiring);
  }

  /** Ranks about to be connected. */
  public interface World extends AutoCloseable {
    /** Called once for each rank, on the thread that will use it. */
    Collective join(int rank, Vigil vigil);

    /** After all ranks are closed. */
    @Override
    default void close() {}
  }

  public int world() {
    return hosts * locals;
  }

  @Override
  public String toString() {
    return name + " " + hosts + "x" + locals;
  }
}
