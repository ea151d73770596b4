package io.moextend.comm;

import java.util.List;

/**
 * Where a rank stands: ranks are numbered host by host, with equally many on each.
 *
 * @param host from 0
 * @param local its number on the host
 * @param locals ranks of each host
 */
public record Place(int host, int hosts, int local, int locals) {
  public Place {
    if (host < 0 || host >= hosts || local < 0 || local >= locals) {
      throw new IllegalArgumentException(
          "host %d of %d, local rank %d of %d: no such place"
              .formatted(host, hosts, local, locals));
    }
  }

  /** Of a rank where all share one host. */
  public static Place onOneHost(int rank, int world) {
    return new Place(0, 1, rank, world);
  }

  /**
   * @param ranksOfHosts how many each host has
   * @throws IllegalArgumentException where they are not equal
   */
  public static Place of(int rank, List<Integer> ranksOfHosts) {
    int locals = ranksOfHosts.getFirst();
    if (ranksOfHosts.stream().anyMatch(n -> n != locals)) {
      throw new IllegalArgumentException(
          "hosts have %s ranks; give each host the same --nproc-per-node".formatted(ranksOfHosts));
    }
    return new Place(rank / locals, ranksOfHosts.size(), rank % locals, locals);
  }

  public int rank() {
    return rankOf(local);
  }

  public int world() {
    return hosts * locals;
  }

  /** The global number of a rank of this host. */
  int rankOf(int neighbour) {
    return host * locals + neighbour;
  }

  /** The global number of the rank in this one's place on another host. */
  int counterpartOn(int otherHost) {
    return otherHost * locals + local;
  }
}
