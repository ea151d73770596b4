package io.moextend.stage;

import io.moextend.config.ConfigException;
import java.util.Arrays;
import java.util.BitSet;

/**
 * How often each expert of each layer was counted, text and image tokens apart. Counts are whole
 * numbers, so censuses of several ranks or files add up to the same bits in any order.
 *
 * <p>Not thread-safe: each thread or rank fills its own and they are {@linkplain
 * #add(RoutingCensus) added} afterwards.
 */
public final class RoutingCensus {
  private static final int MODALITIES = Modality.values().length;

  private final int layers;
  private final int experts;
  private final long[] counts; // [modality, layer, expert]

  public RoutingCensus(int layers, int experts) {
    this(layers, experts, new long[flatLength(layers, experts)]);
  }

  private RoutingCensus(int layers, int experts, long[] counts) {
    this.layers = layers;
    this.experts = experts;
    this.counts = counts;
  }

  /**
   * The census whose {@link #flat()} was {@code counts}.
   *
   * @throws ConfigException if the length is wrong or a count is negative
   */
  public static RoutingCensus ofFlat(int layers, int experts, long[] counts) {
    int wanted = flatLength(layers, experts);
    if (counts.length != wanted) {
      throw new ConfigException(
          "census.length",
          counts.length,
          "%d layers of %d experts need %d counts".formatted(layers, experts, wanted));
    }
    for (int i = 0; i < wanted; i++) {
      if (counts[i] < 0) {
        throw new ConfigException("census[" + i + "]", counts[i], "a count is never negative");
      }
    }
    return new RoutingCensus(layers, experts, counts.clone());
  }

  private static int flatLength(int layers, int experts) {
    if (layers < 1) {
      throw new ConfigException("census.layers", layers, "a census has at least one layer");
    }
    if (experts < 1) {
      throw new ConfigException("census.experts", experts, "a layer has at least one expert");
    }
    return Math.multiplyExact(MODALITIES, Math.multiplyExact(layers, experts));
  }

  public int layers() {
    return layers;
  }

  /** Experts of a layer; every layer has as many. */
  public int experts() {
    return experts;
  }

  /** Counts {@code times} more choices of one expert. */
  public void add(int layer, Modality modality, int expert, long times) {
    if (times < 0) {
      throw new IllegalArgumentException("times=" + times + ": a count only grows");
    }
    int at = index(layer, modality, expert);
    counts[at] = Math.addExact(counts[at], times);
  }

  /**
   * Counts one layer's choices over a batch.
   *
   * @param chosen [tokens, k] row by row, the experts to count for each token
   * @param k experts per token
   * @param counted the tokens that count; leave padding out
   * @param image the tokens that are patches of a picture; the others are text
   */
  public void addTokens(int layer, int[] chosen, int k, BitSet counted, BitSet image) {
    if (k < 1 || chosen.length % k != 0) {
      throw new IllegalArgumentException(
          "chosen.length=%d is no multiple of k=%d".formatted(chosen.length, k));
    }
    int tokens = chosen.length / k;
    if (counted.length() > tokens) {
      throw new IllegalArgumentException(
          "token %d is to be counted of %d".formatted(counted.length() - 1, tokens));
    }
    for (int t = counted.nextSetBit(0); t >= 0; t = counted.nextSetBit(t + 1)) {
      Modality modality = image.get(t) ? Modality.IMAGE : Modality.TEXT;
      for (int j = 0; j < k; j++) {
        add(layer, modality, chosen[t * k + j], 1);
      }
    }
  }

  /** Adds what another rank or file counted. */
  public void add(RoutingCensus other) {
    if (other.layers != layers || other.experts != experts) {
      throw new ConfigException(
          "census",
          other.layers + "x" + other.experts,
          "this one has %d layers of %d experts; count both with the same model"
              .formatted(layers, experts));
    }
    for (int i = 0; i < counts.length; i++) {
      counts[i] = Math.addExact(counts[i], other.counts[i]);
    }
  }

  public long count(int layer, Modality modality, int expert) {
    return counts[index(layer, modality, expert)];
  }

  /** Text and image tokens together. */
  public long count(int layer, int expert) {
    return count(layer, Modality.TEXT, expert) + count(layer, Modality.IMAGE, expert);
  }

  /** All choices of one layer; k times the tokens it saw. */
  public long total(int layer) {
    return total(layer, Modality.TEXT) + total(layer, Modality.IMAGE);
  }

  public long total(int layer, Modality modality) {
    int from = index(layer, modality, 0);
    return Arrays.stream(counts, from, from + experts).sum();
  }

  /**
   * Each expert's share of its layer's choices, text and image tokens together.
   *
   * @return [layers][experts], every row adds up to 1
   * @throws ConfigException if a layer counted nothing
   */
  public double[][] fractions() {
    double[][] out = new double[layers][experts];
    for (int l = 0; l < layers; l++) {
      long total = counted(l, total(l), "tokens");
      for (int e = 0; e < experts; e++) {
        out[l][e] = (double) count(l, e) / total;
      }
    }
    return out;
  }

  /** The same over the tokens of one modality. */
  public double[][] fractions(Modality modality) {
    double[][] out = new double[layers][experts];
    for (int l = 0; l < layers; l++) {
      long total = counted(l, total(l, modality), modality + " tokens");
      for (int e = 0; e < experts; e++) {
        out[l][e] = (double) count(l, modality, e) / total;
      }
    }
    return out;
  }

  /** Whether every layer counted at least one token of this modality. */
  public boolean has(Modality modality) {
    for (int l = 0; l < layers; l++) {
      if (total(l, modality) == 0) {
        return false;
      }
    }
    return true;
  }

  /** All counts, [modality, layer, expert], for a reduction over ranks; a copy. */
  public long[] flat() {
    return counts.clone();
  }

  private static long counted(int layer, long total, String what) {
    if (total == 0) {
      throw new ConfigException(
          "census.layer[" + layer + "]",
          "0 " + what,
          "nothing was counted there; run the model over at least one sample that has some");
    }
    return total;
  }

  private int index(int layer, Modality modality, int expert) {
    if (layer < 0 || layer >= layers || expert < 0 || expert >= experts) {
      throw new IllegalArgumentException(
          "layer %d, expert %d in a census of %d layers and %d experts"
              .formatted(layer, expert, layers, experts));
    }
    return (modality.ordinal() * layers + layer) * experts + expert;
  }
}
