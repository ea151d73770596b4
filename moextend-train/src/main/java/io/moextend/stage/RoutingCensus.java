package io.moextend.stage;

import io.moextend.config.ConfigException;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.IntToLongFunction;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * How often each expert of each layer was counted, text and image tokens apart. Counts are whole
 * numbers, so censuses of several ranks or files add up to the same bits in any order.
 *
 * <p>Not thread-safe: each thread or rank fills its own and they are {@linkplain
 * #add(RoutingCensus) added} afterwards.
 */
public final class RoutingCensus {
  private static final int MODALITIES = Modality.values().length;

  private final int[] layers; // decoder layers that have experts, ascending
  private final int[] first; // where each one's counts begin, and behind them where they end
  private final long[] counts; // [modality, layer, expert]

  /** Of a model whose layers all have as many experts. */
  public RoutingCensus(int layers, int experts) {
    this(alike(layers, experts));
  }

  /**
   * @param experts of each decoder layer that has any, by the layer's index
   */
  public RoutingCensus(SortedMap<Integer, Integer> experts) {
    if (experts.isEmpty() || experts.firstKey() < 0) {
      throw new ConfigException(
          "census.layers", experts.keySet(), "a census has at least one layer, counted from 0");
    }
    this.layers = experts.keySet().stream().mapToInt(Integer::intValue).toArray();
    this.first = new int[layers.length + 1];
    for (int i = 0; i < layers.length; i++) {
      int count = experts.getOrDefault(layers[i], 0);
      if (count < 1) {
        throw new ConfigException("census.experts", count, "a layer has at least one expert");
      }
      first[i + 1] = Math.addExact(first[i], count);
    }
    this.counts = new long[Math.multiplyExact(MODALITIES, first[layers.length])];
  }

  private static SortedMap<Integer, Integer> alike(int layers, int experts) {
    if (layers < 1) {
      throw new ConfigException("census.layers", layers, "a census has at least one layer");
    }
    var all = new TreeMap<Integer, Integer>();
    for (int l = 0; l < layers; l++) {
      all.put(l, experts);
    }
    return all;
  }

  /**
   * The census whose {@link #flat()} was {@code counts}.
   *
   * @throws ConfigException if the length is wrong or a count is negative
   */
  public static RoutingCensus ofFlat(int layers, int experts, long[] counts) {
    var census = new RoutingCensus(layers, experts);
    int wanted = census.counts.length;
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
    System.arraycopy(counts, 0, census.counts, 0, wanted);
    return census;
  }

  /** The decoder layers that have experts, ascending. */
  public List<Integer> layers() {
    return Arrays.stream(layers).boxed().toList();
  }

  public int experts(int layer) {
    int at = at(layer);
    return first[at + 1] - first[at];
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
    if (!Arrays.equals(other.layers, layers) || !Arrays.equals(other.first, first)) {
      throw new ConfigException(
          "census", other, "this one has %s; count both with the same model".formatted(this));
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
    return Arrays.stream(counts, from, from + experts(layer)).sum();
  }

  /**
   * Each expert's share of its layer's choices, text and image tokens together.
   *
   * @return [layers][experts], every row adds up to 1
   * @throws ConfigException if a layer counted nothing
   */
  public double[][] fractions() {
    double[][] out = new double[layers.length][];
    for (int i = 0; i < layers.length; i++) {
      int layer = layers[i];
      long total = counted(layer, total(layer), "tokens");
      out[i] = shares(experts(layer), total, e -> count(layer, e));
    }
    return out;
  }

  /** The same over the tokens of one modality. */
  public double[][] fractions(Modality modality) {
    double[][] out = new double[layers.length][];
    for (int i = 0; i < layers.length; i++) {
      int layer = layers[i];
      long total = counted(layer, total(layer, modality), modality + " tokens");
      out[i] = shares(experts(layer), total, e -> count(layer, modality, e));
    }
    return out;
  }

  private static double[] shares(int experts, long total, IntToLongFunction count) {
    return IntStream.range(0, experts)
        .mapToDouble(e -> (double) count.applyAsLong(e) / total)
        .toArray();
  }

  /** Whether every layer counted at least one token of this modality. */
  public boolean has(Modality modality) {
    return Arrays.stream(layers).allMatch(layer -> total(layer, modality) > 0);
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
    int at = at(layer);
    if (expert < 0 || expert >= first[at + 1] - first[at]) {
      throw new IllegalArgumentException(
          "layer %d, expert %d in a census of %s".formatted(layer, expert, this));
    }
    return modality.ordinal() * first[layers.length] + first[at] + expert;
  }

  private int at(int layer) {
    int at = Arrays.binarySearch(layers, layer);
    if (at < 0) {
      throw new IllegalArgumentException("layer %d in a census of %s".formatted(layer, this));
    }
    return at;
  }

  /** "2 layers of 4 experts", "layers [1, 3] of 4 experts". */
  @Override
  public String toString() {
    int[] experts = Arrays.stream(layers).map(this::experts).distinct().toArray();
    boolean all = layers[layers.length - 1] == layers.length - 1;
    return "%s of %s experts"
        .formatted(
            all ? layers.length + " layers" : "layers " + Arrays.toString(layers),
            Arrays.stream(experts).mapToObj(String::valueOf).collect(Collectors.joining(" or ")));
  }
}
