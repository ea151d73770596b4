package io.moextend.config;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** What makes a tower's patches as wide as tokens, and how many of them it leaves. */
public sealed interface ProjectorType {
  /** One layer. */
  record Linear() implements ProjectorType {}

  /** {@code layers} of them, GELU between them: "mlp2x_gelu". */
  record Perceptron(int layers) implements ProjectorType {}

  /**
   * Spatial pyramid pooling: the mean of each two by two patches, after one layer, two or between.
   */
  record Pooled(Pooling where) implements ProjectorType {}

  /** Which of the layers come before the pooling. */
  enum Pooling {
    /** One layer, the mean, another. */
    BETWEEN,
    /** Two layers, the mean. */
    AFTER,
    /** A layer as wide as the features, the mean, two layers. */
    FIRST
  }

  /**
   * Two layers and two blocks of small convolutions, the second of which halves each side.
   *
   * @see <a href="https://arxiv.org/abs/2312.16886">MobileVLM</a>, section 3.4
   */
  record Ldp() implements ProjectorType {}

  /** Four patches in a row become one. */
  record Grouped(Order order) implements ProjectorType {}

  /** How the numbers of four patches stand in one row. */
  enum Order {
    /** Channel by channel, as "vanilla" has them. */
    INTERLEAVED,
    /** Patch by patch, as "minigpt" has them. */
    JOINED
  }

  /** Nothing: the features are as wide as tokens already. */
  record Identity() implements ProjectorType {}

  /** Patches that one row of {@link Grouped} is made of. */
  int GROUP = 4;

  /** Blocks of {@link Ldp} come in widths of this. */
  int LDP_STEP = 8;

  /**
   * @param name mm_projector_type as published
   * @throws ConfigException where there is none of this name
   */
  static ProjectorType of(String name) {
    Matcher perceptron = Pattern.compile("mlp([1-9]\\d?)x_gelu").matcher(name);
    if (perceptron.matches()) {
      return new Perceptron(Integer.parseInt(perceptron.group(1)));
    }
    return switch (name) {
      case "linear" -> new Linear();
      case "spp_v1", "sppv1" -> new Pooled(Pooling.BETWEEN);
      case "spp_v2", "sppv2" -> new Pooled(Pooling.AFTER);
      case "spp_v3", "sppv3" -> new Pooled(Pooling.FIRST);
      case "ldp" -> new Ldp();
      case "vanilla" -> new Grouped(Order.INTERLEAVED);
      case "minigpt" -> new Grouped(Order.JOINED);
      case "identity" -> new Identity();
      default ->
          throw new ConfigException(
              "mm_projector_type",
              name,
              "known projectors are linear, mlp1x_gelu, mlp2x_gelu and so on, spp_v1, spp_v2,"
                  + " spp_v3, ldp, vanilla, minigpt, identity");
    };
  }

  /**
   * Tokens that {@code patches} patches of an image become.
   *
   * @throws ConfigException where it cannot take so many
   */
  default int tokens(int patches) {
    return switch (this) {
      case Linear(), Perceptron _, Identity() -> patches;
      case Pooled _ -> square(side(patches) / 2, patches);
      case Ldp() -> square((side(patches) + 1) / 2, patches);
      case Grouped _ -> {
        if (patches % GROUP != 0) {
          throw new ConfigException(
              "mm_projector_type",
              this,
              "takes patches by %d, and %d patches are no multiple; use mlp2x_gelu"
                  .formatted(GROUP, patches));
        }
        yield patches / GROUP;
      }
    };
  }

  private int square(int side, int patches) {
    if (side < 1) {
      throw new ConfigException(
          "mm_projector_type", this, "%d patches leave no token".formatted(patches));
    }
    return side * side;
  }

  /**
   * Patches side by side.
   *
   * @throws ConfigException where they make no square
   */
  default int side(int patches) {
    int side = (int) Math.round(Math.sqrt(patches));
    if (side * side != patches) {
      throw new ConfigException(
          "mm_projector_type", this, "needs a square of patches, not %d".formatted(patches));
    }
    return side;
  }

  /**
   * @param features width of the patches
   * @param hidden width of the tokens
   * @throws ConfigException where it cannot lead from the one to the other
   */
  default void requireWidths(int features, int hidden) {
    if (this instanceof Identity && features != hidden) {
      throw new ConfigException(
          "mm_projector_type",
          "identity",
          "features of %d do not fit hidden_size=%d; use mlp2x_gelu".formatted(features, hidden));
    }
    if (this instanceof Ldp && hidden % LDP_STEP != 0) {
      throw new ConfigException(
          "mm_projector_type",
          "ldp",
          "hidden_size=%d is no multiple of %d".formatted(hidden, LDP_STEP));
    }
  }
}
