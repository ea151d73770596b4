package io.moextend.comm.aeron;

import java.time.Duration;

/**
 * Sizes and times of the wire; the same on all ranks.
 *
 * @param patience how long a rank may be silent. No timeout inside Aeron is shorter, so a stopped
 *     process or a cut network is waited for; who gives up, and when, is the vigil's affair
 * @param windowBytes under way at most from one rank to another; 256 KiB to 64 MiB. For UDP the
 *     receive buffer of the socket must hold it
 * @param mtuBytes of one datagram, a multiple of 32 up to 65504, or {@link #AUTO_MTU}
 */
public record Tuning(Duration patience, int windowBytes, int mtuBytes) {
  /** The longest datagram that the bound interface carries in one piece. */
  public static final int AUTO_MTU = 0;

  static final int LONGEST_MTU = 65504;
  private static final int DEFAULT_WINDOW = 2 << 20;
  private static final int SMALLEST_WINDOW = 256 << 10;
  private static final int LARGEST_WINDOW = 64 << 20;

  public Tuning {
    if (patience.isNegative() || patience.isZero()) {
      throw new IllegalArgumentException(
          "patience is " + patience + "; want a time, as PT10M for ten minutes");
    }
    if (windowBytes < SMALLEST_WINDOW || windowBytes > LARGEST_WINDOW) {
      throw new IllegalArgumentException(
          "window is %d bytes; want %d to %d"
              .formatted(windowBytes, SMALLEST_WINDOW, LARGEST_WINDOW));
    }
    if (mtuBytes != AUTO_MTU && (mtuBytes < 512 || mtuBytes > LONGEST_MTU || mtuBytes % 32 != 0)) {
      throw new IllegalArgumentException(
          "MTU is %d bytes; want a multiple of 32 from 512 to %d, or %d for what the network has"
              .formatted(mtuBytes, LONGEST_MTU, AUTO_MTU));
    }
  }

  /** A window of 2 MiB and the interface's own MTU. */
  public static Tuning patient(Duration patience) {
    return new Tuning(patience, DEFAULT_WINDOW, AUTO_MTU);
  }

  /** Of one of the three terms of a stream: twice the window or more, a power of two. */
  int termBytes() {
    return Integer.highestOneBit(windowBytes * 2 - 1) << 1;
  }

  /** Longer than anyone waits. */
  Duration outlast() {
    return patience.plusSeconds(30);
  }
}
