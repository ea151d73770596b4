package io.moextend.comm.device;

/**
 * How long ranks talked, and how much of it the computation had to wait for.
 *
 * @param totalSeconds spent in collective calls, waiting for other ranks counted
 * @param exposedSeconds in which the rank's own thread could do nothing else
 */
public record Exposure(double totalSeconds, double exposedSeconds) {
  /** Of the total that was not hidden behind computation; 0 where there was none. */
  public double share() {
    return totalSeconds == 0 ? 0 : exposedSeconds / totalSeconds;
  }
}
