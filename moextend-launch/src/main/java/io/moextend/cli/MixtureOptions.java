package io.moextend.cli;

import io.moextend.config.ConfigException;
import io.moextend.stage.convert.Architecture;
import io.moextend.stage.convert.Mixture;
import io.moextend.stage.convert.Mixture.Balance;
import java.util.OptionalLong;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParseResult;

/** What convert-moe is told about the experts. */
final class MixtureOptions {
  /** Each is for some architectures alone. */
  private static final Set<String> ALL =
      Set.of(
          "--layers",
          "--num-experts",
          "--vision-experts",
          "--text-experts",
          "--top-k",
          "--balance",
          "--vision-balance",
          "--text-balance",
          "--router-logits",
          "--vision-router-logits",
          "--text-router-logits",
          "--write-routers",
          "--seed",
          "--expert");

  @Option(
      names = "--num-experts",
      defaultValue = "4",
      paramLabel = "N",
      description = "Experts of a layer, of moiie a multiple of 4 (default: ${DEFAULT-VALUE}).")
  private int numExperts;

  @Option(
      names = "--vision-experts",
      defaultValue = "4",
      paramLabel = "N",
      description = "For images, of routed-modality-moe (default: ${DEFAULT-VALUE}).")
  private int visionExperts;

  @Option(
      names = "--text-experts",
      defaultValue = "4",
      paramLabel = "N",
      description = "For text, of routed-modality-moe (default: ${DEFAULT-VALUE}).")
  private int textExperts;

  @Option(
      names = "--top-k",
      defaultValue = "2",
      paramLabel = "K",
      description = "Experts a token visits (default: ${DEFAULT-VALUE}).")
  private int topK;

  @Option(
      names = "--balance",
      defaultValue = "0.001",
      paramLabel = "C",
      description = "Weight of vanilla-moe's balance loss (default: ${DEFAULT-VALUE}).")
  private double balance;

  @Option(
      names = "--vision-balance",
      defaultValue = "0.001",
      paramLabel = "C",
      description = "Weight of the image router's balance loss (default: ${DEFAULT-VALUE}).")
  private double visionBalance;

  @Option(
      names = "--text-balance",
      defaultValue = "0.001",
      paramLabel = "C",
      description = "Weight of the text router's balance loss (default: ${DEFAULT-VALUE}).")
  private double textBalance;

  @Option(
      names = "--router-logits",
      arity = "1",
      defaultValue = "true",
      paramLabel = "true|false",
      description = "Whether vanilla-moe hands out its router's logits (default: true).")
  private boolean logits;

  @Option(
      names = "--vision-router-logits",
      arity = "1",
      defaultValue = "true",
      paramLabel = "true|false",
      description = "Whether the image router's logits are handed out (default: true).")
  private boolean visionLogits;

  @Option(
      names = "--text-router-logits",
      arity = "1",
      defaultValue = "true",
      paramLabel = "true|false",
      description = "Whether the text router's logits are handed out (default: true).")
  private boolean textLogits;

  @Option(
      names = "--write-routers",
      description =
          "Draw the routers now and write them; without it the model has none until it is loaded.")
  private boolean writeRouters;

  @Option(
      names = "--seed",
      paramLabel = "S",
      description = "Of the routers (default with --write-routers: 42).")
  private @Nullable Long seed;

  /**
   * @throws ConfigException where an option was typed that says nothing about this architecture, or
   *     the numbers do not fit together
   */
  void requireFitting(Architecture architecture, ParseResult typed) {
    Set<String> taken = taken(architecture);
    for (String option : new TreeSet<>(ALL)) {
      if (typed.hasMatchedOption(option) && !taken.contains(option)) {
        throw new ConfigException(
            option,
            typed.matchedOption(option).originalStringValues(),
            "--architecture %s has none; it takes %s"
                .formatted(architecture, new TreeSet<>(taken)));
      }
    }
    if (seed != null && !writeRouters) {
      throw new ConfigException(
          "--seed", seed, "nothing is drawn without --write-routers; give both or neither");
    }
  }

  private static Set<String> taken(Architecture architecture) {
    return switch (architecture) {
      case DENSE -> Set.of("--expert");
      case MODALITY_MOE -> Set.of("--layers");
      case VANILLA_MOE ->
          Set.of(
              "--layers",
              "--num-experts",
              "--top-k",
              "--balance",
              "--router-logits",
              "--write-routers",
              "--seed");
      case MOIIE ->
          Set.of(
              "--layers",
              "--num-experts",
              "--top-k",
              "--vision-balance",
              "--text-balance",
              "--vision-router-logits",
              "--text-router-logits",
              "--write-routers",
              "--seed");
      case ROUTED_MODALITY_MOE ->
          Set.of(
              "--layers",
              "--vision-experts",
              "--text-experts",
              "--top-k",
              "--vision-balance",
              "--text-balance",
              "--vision-router-logits",
              "--text-router-logits",
              "--write-routers",
              "--seed");
    };
  }

  /** Empty where no router is written. */
  OptionalLong routerSeed() {
    return writeRouters ? OptionalLong.of(seed == null ? 42 : seed) : OptionalLong.empty();
  }

  /**
   * @param architecture not dense
   */
  Mixture mixture(Architecture architecture) {
    var vision = Balance.of("--vision-balance", visionBalance, visionLogits);
    var text = Balance.of("--text-balance", textBalance, textLogits);
    return switch (architecture) {
      case DENSE -> throw new IllegalStateException("a dense model has no experts");
      case MOIIE -> new Mixture.Moiie(numExperts, topK, vision, text);
      case VANILLA_MOE ->
          new Mixture.Vanilla(numExperts, topK, Balance.of("--balance", balance, logits));
      case MODALITY_MOE -> new Mixture.Modality();
      case ROUTED_MODALITY_MOE ->
          new Mixture.Routed(visionExperts, textExperts, topK, vision, text);
    };
  }
}
