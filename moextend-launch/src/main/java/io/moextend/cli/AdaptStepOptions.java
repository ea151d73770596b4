package io.moextend.cli;

import io.moextend.adapter.AdapterConfig;
import io.moextend.adapter.AdapterMethod;
import io.moextend.array.DType;
import io.moextend.bench.AdaptStepBench;
import io.moextend.bench.AdaptStepSize;
import io.moextend.config.ConfigException;
import io.moextend.optim.Adafactor;
import io.moextend.optim.AdamW;
import io.moextend.optim.UpdateRule;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** What {@code bench step --architecture t5} is asked beside what all models are. */
final class AdaptStepOptions {
  static final String ARCHITECTURE = "t5";

  private static final String FULL = "full";

  @Option(
      names = "--method",
      defaultValue = "lora",
      paramLabel = "lora|ia3|mov|molora|full",
      description = "Of t5: which adapters train; full = all weights (default: ${DEFAULT-VALUE}).")
  private String method = "lora";

  @Option(
      names = "--rank",
      defaultValue = "16",
      description = "Of lora, and of each expert of molora (default: ${DEFAULT-VALUE}).")
  private int rank;

  @Option(
      names = "--experts",
      defaultValue = "10",
      description = "Of mov and molora (default: ${DEFAULT-VALUE}).")
  private int experts;

  @Option(
      names = "--optim",
      defaultValue = "adamw",
      paramLabel = "adamw|adafactor",
      description = "Of t5: how weights are updated (default: ${DEFAULT-VALUE}).")
  private String optim = "adamw";

  AdaptSteps.Asked asked(@Nullable String size, DType dtype, boolean checkpointing) {
    var work =
        new AdaptStepBench.Work(
            size == null ? AdaptStepSize.USUAL : AdaptStepSize.parse(size),
            method.equals(FULL) ? null : adapters(),
            dtype,
            checkpointing);
    return new AdaptSteps.Asked(work, method, rule());
  }

  private AdapterConfig adapters() {
    AdapterMethod named =
        Arrays.stream(AdapterMethod.values())
            .filter(m -> m.word().equals(method))
            .findFirst()
            .orElseThrow(
                () ->
                    new ConfigException("--method", method, "use lora, ia3, mov, molora or full"));
    return AdapterConfig.of(named, experts, rank);
  }

  private UpdateRule rule() {
    return switch (optim) {
      case "adamw" -> AdamW.PUBLISHED;
      case "adafactor" -> Adafactor.from(0);
      default -> throw new ConfigException("--optim", optim, "use adamw or adafactor");
    };
  }
}
