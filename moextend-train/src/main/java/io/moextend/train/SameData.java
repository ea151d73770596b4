package io.moextend.train;

import io.moextend.config.ConfigException;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;

/**
 * That all ranks draw from the same data. Each makes the whole order and takes its part, so that a
 * host with other files would repeat some rows and leave others out, and nothing would say so.
 */
public final class SameData {
  private SameData() {}

  /**
   * On every rank.
   *
   * @param content as {@link BatchSource#content} gives it, of as many values on each rank
   * @throws ConfigException on every rank, naming the first value that is not the same
   */
  public static void require(SequencedMap<String, String> content, Peers peers) {
    List<Map.Entry<String, String>> values = List.copyOf(content.sequencedEntrySet());
    double[][] all =
        peers.gather(
            "what the ranks draw from",
            values.stream().mapToDouble(value -> value.getValue().hashCode()).toArray());
    for (int i = 0; i < values.size(); i++) {
      for (int rank = 1; rank < all.length; rank++) {
        if (all[rank][i] != all[0][i]) {
          throw new ConfigException(
              values.get(i).getKey(),
              values.get(i).getValue(),
              "rank %d has other data than rank 0; give every host the same files".formatted(rank));
        }
      }
    }
  }
}
