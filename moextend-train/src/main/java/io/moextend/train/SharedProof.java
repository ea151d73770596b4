package io.moextend.train;

import io.moextend.checkpoint.EvenShares;
import io.moextend.checkpoint.FrozenProof;
import io.moextend.checkpoint.TensorData;
import io.moextend.checkpoint.WeightSource;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/** The proof of a whole checkpoint, each rank reading its share of the bytes. */
public final class SharedProof {
  private static final int WORDS = 8; // of a SHA-256, 32 bits each

  private SharedProof() {}

  /** The same on every rank; a collective call. */
  public static FrozenProof of(WeightSource source, Peers peers) {
    if (peers.world() == 1) {
      return FrozenProof.of(source);
    }
    List<List<String>> shares =
        EvenShares.of(
            new TreeSet<>(source.names()), name -> bytes(source.tensor(name)), peers.world());
    FrozenProof own =
        new Together(peers)
            .call(
                "reading what must not move",
                () -> FrozenProof.of(source, Set.copyOf(shares.get(peers.rank()))::contains));
    int longest = shares.stream().mapToInt(List::size).max().orElse(0);
    double[] words = new double[longest * WORDS];
    List<String> mine = shares.get(peers.rank());
    for (int i = 0; i < mine.size(); i++) {
      FrozenProof.Print print = Objects.requireNonNull(own.tensors().get(mine.get(i)));
      String hex = print.sha256();
      for (int w = 0; w < WORDS; w++) {
        words[i * WORDS + w] = HexFormat.fromHexDigits(hex, 8 * w, 8 * w + 8) & 0xffffffffL;
      }
    }
    double[][] all = peers.gather("what must not move", words);
    var prints = new TreeMap<String, FrozenProof.Print>();
    for (int rank = 0; rank < shares.size(); rank++) {
      for (int i = 0; i < shares.get(rank).size(); i++) {
        String name = shares.get(rank).get(i);
        prints.put(name, print(source.tensor(name), all[rank], i * WORDS));
      }
    }
    return new FrozenProof(own.formatVersion(), prints);
  }

  private static FrozenProof.Print print(TensorData tensor, double[] words, int from) {
    var hex = new StringBuilder();
    for (int w = 0; w < WORDS; w++) {
      hex.append(HexFormat.of().toHexDigits((int) (long) words[from + w]));
    }
    return new FrozenProof.Print(
        tensor.dtype(), Arrays.stream(tensor.shape()).boxed().toList(), hex.toString());
  }

  private static long bytes(TensorData tensor) {
    return tensor.length() * tensor.dtype().bytes();
  }
}
