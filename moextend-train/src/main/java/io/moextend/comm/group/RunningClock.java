package io.moextend.comm.group;

import java.time.Duration;

/**
 * Counts the time in which this process ran. A process that was stopped for a minute has heard
 * nobody in that minute, and must not blame them for it; so a gap between two ticks counts for two
 * seconds at most.
 */
public final class RunningClock {
  private static final long MOST = Duration.ofSeconds(2).toNanos();

  private long last = System.nanoTime();
  private volatile long running;

  /** Called by one thread, several times a second. */
  public void tick() {
    long now = System.nanoTime();
    running += Math.min(now - last, MOST);
    last = now;
  }

  /** Nanoseconds as of the last tick. */
  public long nanos() {
    return running;
  }
}
