package io.moextend.stage;

import io.moextend.config.ConfigException;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * Which layers get a new expert and from which old one it is copied: extension.json, which
 * expert-distribution writes and init-expert reads.
 *
 * @param format always {@link #FORMAT}
 * @param mode what was counted
 * @param layers layers of the model the plan is for
 * @param experts experts of a layer before it is extended
 * @param extended the layers that get an expert, in the order of the model; may be edited by hand
 * @param ranking all layers by score, largest first; empty in a plan written by hand
 * @param tiedAtCut layers of equal score on both sides of the cut, where the lower went first
 */
public record ExtensionPlan(
    String format,
    CountingMode mode,
    int layers,
    int experts,
    List<Extended> extended,
    List<Ranked> ranking,
    List<Integer> tiedAtCut,
    Source source) {
  public static final String FORMAT = "moextend-extension-plan-1";

  /** A plan of a thousand layers takes a tenth of it. */
  private static final RecordFile<ExtensionPlan> FILE =
      new RecordFile<>(ExtensionPlan.class, "a plan", 1 << 20);

  /**
   * @param donor the expert that the new one starts as a copy of
   */
  public record Extended(int layer, int donor) {}

  /**
   * @param score standard deviation over experts of (share after - share before)
   * @param donor most used expert after the extension stage
   * @param donorShare its share of the layer's choices, 0 to 1
   */
  public record Ranked(int layer, double score, int donor, double donorShare) {}

  /**
   * Where the numbers come from.
   *
   * @param before fingerprint of the model before the extension stage
   * @param after fingerprint of the model after it
   * @param data name of the file whose samples were counted, without its folder
   * @param samples samples counted
   * @param tokens tokens counted, image patches among them
   */
  public record Source(String before, String after, String data, long samples, long tokens) {}

  /** Checks every field; the message names it. */
  public ExtensionPlan {
    if (!format.equals(FORMAT)) {
      throw new ConfigException("format", format, "this version reads " + FORMAT);
    }
    if (layers < 1) {
      throw new ConfigException("layers", layers, "a model has at least one layer");
    }
    if (experts < 1) {
      throw new ConfigException("experts", experts, "a layer has at least one expert");
    }
    extended = List.copyOf(extended);
    ranking = List.copyOf(ranking);
    tiedAtCut = List.copyOf(tiedAtCut);
    requireExtended(extended, layers, experts);
    requireRanking(ranking, layers, experts);
    for (int i = 0; i < tiedAtCut.size(); i++) {
      requireBelow("tiedAtCut[" + i + "]", tiedAtCut.get(i), layers, "layers");
    }
    requireSource(source);
  }

  /**
   * @throws ConfigException naming the file and the field if anything in it cannot be used
   */
  public static ExtensionPlan read(Path file) {
    return FILE.read(file);
  }

  /** Writes the file whole or not at all. */
  public void write(Path file) {
    FILE.write(this, file);
  }

  /** The extended layers, ascending: config.json's {@code add_layer}. */
  public List<Integer> addLayer() {
    return extended.stream().map(Extended::layer).toList();
  }

  private static void requireExtended(List<Extended> extended, int layers, int experts) {
    if (extended.isEmpty()) {
      throw new ConfigException("extended", "[]", "name at least one layer with its donor");
    }
    Set<Integer> seen = new HashSet<>();
    int last = -1;
    for (int i = 0; i < extended.size(); i++) {
      Extended e = extended.get(i);
      String where = "extended[" + i + "].";
      requireBelow(where + "layer", e.layer(), layers, "layers");
      requireBelow(where + "donor", e.donor(), experts, "experts");
      if (!seen.add(e.layer())) {
        throw new ConfigException(
            where + "layer", e.layer(), "the layer is there twice; a layer gets one new expert");
      }
      if (e.layer() < last) {
        throw new ConfigException(
            where + "layer", e.layer(), "write the layers in ascending order; before is " + last);
      }
      last = e.layer();
    }
  }

  private static void requireRanking(List<Ranked> ranking, int layers, int experts) {
    if (!ranking.isEmpty() && ranking.size() != layers) {
      throw new ConfigException(
          "ranking.length", ranking.size(), "list all %d layers or none".formatted(layers));
    }
    Set<Integer> seen = new HashSet<>();
    for (int i = 0; i < ranking.size(); i++) {
      Ranked r = ranking.get(i);
      String where = "ranking[" + i + "].";
      requireBelow(where + "layer", r.layer(), layers, "layers");
      requireBelow(where + "donor", r.donor(), experts, "experts");
      if (!seen.add(r.layer())) {
        throw new ConfigException(where + "layer", r.layer(), "the layer is ranked twice");
      }
      if (!(r.score() >= 0 && r.score() <= 1)) {
        throw new ConfigException(where + "score", r.score(), "a score lies in [0, 1]");
      }
      if (!(r.donorShare() >= 0 && r.donorShare() <= 1)) {
        throw new ConfigException(where + "donorShare", r.donorShare(), "a share lies in [0, 1]");
      }
    }
  }

  private static void requireBelow(String where, int value, int bound, String what) {
    if (value < 0 || value >= bound) {
      throw new ConfigException(
          where, value, "the plan is for %d %s; write 0 to %d".formatted(bound, what, bound - 1));
    }
  }

  private static void requireSource(Source source) {
    if (source.samples() < 0) {
      throw new ConfigException("source.samples", source.samples(), "a count is never negative");
    }
    if (source.tokens() < 0) {
      throw new ConfigException("source.tokens", source.tokens(), "a count is never negative");
    }
    if (source.data().contains("/") || source.data().contains("\\")) {
      throw new ConfigException(
          "source.data", source.data(), "write the file's name without its folder");
    }
  }
}
