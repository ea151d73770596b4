package io.moextend.comm;

/** Another rank is gone, silent, or wrong. The message names it and the call that waited for it. */
public final class PeerLostException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final int rank;

  /**
   * @param rank that was lost; -1 where it is not known which
   */
  public PeerLostException(int rank, String message) {
    super(message);
    this.rank = rank;
  }

  public int rank() {
    return rank;
  }
}
