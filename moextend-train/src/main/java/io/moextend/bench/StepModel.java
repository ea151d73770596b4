package io.moextend.bench;

import io.moextend.config.ConfigException;
import io.moextend.config.DecoderConfig;
import io.moextend.config.FeedForwardConfig;
import io.moextend.config.FeedForwardConfig.Mixed;
import io.moextend.config.Scheme;
import io.moextend.config.VisionConfig;
import io.moextend.stage.Stage;
import java.util.Arrays;
import java.util.Locale;
import java.util.TreeSet;

/**
 * What is timed: MoExtend's Mixtral, or MoIIE and its rivals on a decoder like Phi-3's (fused q, k
 * and v, fused gate and up, as many key heads as query heads). Those have experts in the odd layers
 * and one network of the same width in the others.
 */
public enum StepModel {
  /** Experts in every layer; every second is extended where the stage trains added experts. */
  MIXTRAL,
  /** The same decoder without experts. */
  DENSE,
  /** Two gates over overlapping windows. */
  MOIIE,
  /** One gate over all experts. */
  VANILLA_MOE,
  /** One expert for patches, one for text, whatever --size says of experts. */
  MODALITY_MOE;

  private static final int TOP_K = 2;
  private static final double BALANCE = 0.001;

  /**
   * @throws ConfigException where there is no such model
   */
  public static StepModel named(String name) {
    return Arrays.stream(values())
        .filter(m -> m.toString().equals(name))
        .findFirst()
        .orElseThrow(
            () ->
                new ConfigException(
                    "--architecture", name, "use one of " + Arrays.toString(values())));
  }

  /** What {@code --size} is where nobody says: eight experts of a Mixtral, else four. */
  public StepSize usualSize() {
    return new StepSize(1024, 3584, 4, this == MIXTRAL ? 8 : 4, 8192, 2, 512);
  }

  /** Patches of the one image of each row: a grid of 8 by 8, or of 12 by 12. */
  public int patches() {
    return side() * side();
  }

  private int side() {
    return this == MIXTRAL ? 8 : 12;
  }

  DecoderConfig config(StepSize size, Stage stage) {
    return this == MIXTRAL ? mixtral(size, stage) : phi3(size);
  }

  private DecoderConfig mixtral(StepSize size, Stage stage) {
    var extended = new TreeSet<Integer>();
    if (stage == Stage.FINETUNE) {
      for (int layer = 1; layer < size.layers(); layer += 2) {
        extended.add(layer);
      }
    }
    return BenchShape.config(
        size.hidden(),
        size.intermediate(),
        size.layers(),
        size.experts(),
        size.vocab(),
        size.sequence(),
        extended,
        new VisionConfig(StepSize.tower(side()), "mlp2x_gelu", -1, size.vocab()));
  }

  private DecoderConfig phi3(StepSize size) {
    int heads = size.hidden() / BenchShape.HEAD;
    return new DecoderConfig(
        type(),
        size.vocab(),
        size.hidden(),
        size.layers(),
        new DecoderConfig.Heads(heads, heads, BenchShape.HEAD),
        new DecoderConfig.Rope(1e4, Math.max(4096, size.sequence())),
        0,
        1e-5,
        0.02,
        false,
        networks(size),
        new DecoderConfig.SpecialTokens(1, 2, null),
        new VisionConfig(StepSize.tower(side()), "mlp2x_gelu", -2, VisionConfig.PLACEHOLDER));
  }

  private String type() {
    return switch (this) {
      case MIXTRAL -> "mixtral";
      case DENSE -> "bunny-phi3";
      case MOIIE -> "bunny-mm-phi3-moe-s";
      case VANILLA_MOE -> "bunny-phi3-moe";
      case MODALITY_MOE -> "bunny-phi3-m";
    };
  }

  private FeedForwardConfig networks(StepSize size) {
    int n = size.experts();
    return switch (this) {
      case MIXTRAL -> throw new IllegalStateException("a Mixtral has experts everywhere");
      case DENSE -> new FeedForwardConfig.Dense(size.intermediate());
      case MOIIE -> mixed(size, new Scheme.Moiie(n, TOP_K, BALANCE, BALANCE, 0));
      case VANILLA_MOE -> mixed(size, new Scheme.Vanilla(n, TOP_K, BALANCE, 0));
      case MODALITY_MOE -> mixed(size, new Scheme.Modality());
    };
  }

  private static Mixed mixed(StepSize size, Scheme scheme) {
    return new Mixed(size.intermediate(), Mixed.oddLayers(size.layers()), scheme);
  }

  /** As it is typed: {@code vanilla-moe}. */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }
}
