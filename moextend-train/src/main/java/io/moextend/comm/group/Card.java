package io.moextend.comm.group;

/**
 * What a rank shows of itself to all others when it joins.
 *
 * @param rank of the whole group
 * @param pid on its host
 * @param host ranks with the same word see the same memory
 * @param details what its wire needs, as its UDP endpoint; at most 4096 bytes
 */
public record Card(int rank, long pid, String host, byte[] details) {
  static final int MOST_DETAILS = 4096;
  static final int LONGEST_HOST = 256;

  public Card {
    if (rank < 0 || details.length > MOST_DETAILS || host.length() > LONGEST_HOST) {
      throw new IllegalArgumentException(
          "card of rank %d with %d bytes of details and a host word of %d characters; the most are %d and %d"
              .formatted(rank, details.length, host.length(), MOST_DETAILS, LONGEST_HOST));
    }
    details = details.clone();
  }

  @Override
  public byte[] details() {
    return details.clone();
  }

  /** As "rank 1 (pid 4711, host node-0)". */
  public String named() {
    return "rank %d (pid %d, host %s)".formatted(rank, pid, host);
  }
}
