package io.moextend.comm.device;

/**
 * How long ranks talked, and how much of it the computation had to wait for. Waiting for a rank
 * that has not come to a call yet is told apart: it is work that is not evenly shared.
 *
 * @param totalSeconds spent in collective calls once all ranks had come
 * @param exposedSeconds in which the rank's own thread could do nothing else
 * @param lateSeconds spent in collective calls before all ranks had come
 */
public record Exposure(double totalSeconds, double exposedSeconds, double lateSeconds) {
  /** Of the total that was not hidden behind computation; 0 where there was none. */
  public double share() {
    return totalSeconds == 0 ? 0 : exposedSeconds / totalSeconds;
  }
}
