package io.moextend.cli;

import io.moextend.array.DType;
import io.moextend.backend.Backend;
import io.moextend.checkpoint.WeightSource;
import io.moextend.config.ConfigException;
import io.moextend.config.PublishedJson;
import io.moextend.stage.convert.Architecture;
import io.moextend.stage.convert.Conversion;
import io.moextend.stage.convert.ConversionReceipt;
import io.moextend.stage.convert.LayerChoice;
import io.moextend.stage.convert.LogitCheck;
import io.moextend.stage.convert.LogitReceipt;
import io.moextend.stage.convert.SourceModel;
import io.moextend.stage.convert.ToDense;
import io.moextend.stage.convert.ToMixture;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Makes a dense model a mixture of experts, or a mixture dense. */
@Command(
    name = "convert-moe",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Makes a Phi-3 or Llama-3 model a mixture of experts whose experts are copies of its own networks, or such a mixture dense again.",
      "Reads and writes tensor by tensor; conversion.json in the new folder says what became of each.",
      "Then asks both models the same random tokens: the logits must agree, or nothing is left at the output and the exit code is 3."
    },
    footer = {
      "",
      "Example:  moextend convert-moe --architecture moiie --model Phi-3-mini-4k-instruct --output runs/moiie",
      "          moextend convert-moe --architecture dense --model runs/moiie --output runs/dense"
    })
final class ConvertMoeCommand implements Callable<Integer> {
  private static final long CHECK_SEED = 42;

  @Spec private @Nullable CommandSpec spec;

  @Option(
      names = "--architecture",
      required = true,
      paramLabel = "KIND",
      description = "What it becomes: ${COMPLETION-CANDIDATES}.")
  private Architecture architecture = Architecture.MOIIE;

  @Mixin private final ModelOptions model = new ModelOptions();

  @Option(
      names = "--output",
      required = true,
      paramLabel = "DIR",
      description = "Folder of the converted model; must not exist.")
  private Path output = Path.of("");

  @Option(
      names = "--layers",
      defaultValue = "odd",
      paramLabel = "odd|all|LIST",
      description = "Layers that get experts, such as 1,3,5 (default: ${DEFAULT-VALUE}).")
  private String layers = "odd";

  @Mixin private final MixtureOptions mixture = new MixtureOptions();

  @Option(
      names = "--expert",
      paramLabel = "WHICH",
      description = {
        "To dense: the expert that stays. Its number in a moiie or vanilla-moe model (default: 1),",
        "vision or text in a modality-moe (default: text), vision.0, text.1 … in a routed one (default: text.0)."
      })
  private @Nullable String expert;

  @Option(
      names = "--max-shard-size",
      defaultValue = "2GB",
      paramLabel = "SIZE",
      description = "Of one file's tensors (default: ${DEFAULT-VALUE}).")
  private String maxShardSize = "2GB";

  @Option(
      names = "--check-tokens",
      defaultValue = "64",
      paramLabel = "N",
      description = {
        "Random tokens both models are asked, half of them as image patches; 0 = none are asked (default: ${DEFAULT-VALUE}).",
        "In f32, layer by layer: takes the memory of the largest layer, the embedding and the head, and reads both models once."
      })
  private int checkTokens;

  @Mixin private final BackendOptions backend = new BackendOptions();

  @Override
  public Integer call() {
    PrintWriter out = Commands.out(spec);
    mixture.requireFitting(architecture, Commands.typed(spec));
    long shardBytes = ByteSize.parse("--max-shard-size", maxShardSize);
    if (Files.exists(output, LinkOption.NOFOLLOW_LINKS)) {
      throw new ConfigException("--output", output, "is there already; name a new folder");
    }
    requireWide();
    ConversionReceipt receipt;
    try (WeightSource weights = model.weights()) {
      receipt = written(planned(weights), shardBytes);
    }
    report(receipt, out);
    return 0;
  }

  private void requireWide() {
    if (backend.dtype() != DType.F32) {
      throw new ConfigException(
          "--dtype", backend.dtype(), "logits are compared in f32; leave the option out");
    }
  }

  private ConversionReceipt written(Conversion conversion, long shardBytes) {
    if (checkTokens == 0) {
      return conversion.write(model.home(), output, shardBytes);
    }
    LogitCheck.requireRunnable(conversion);
    try (Backend opened = backend.open()) {
      var check = new LogitCheck(opened, model::weights, checkTokens, CHECK_SEED);
      return conversion.write(model.home(), output, shardBytes, check);
    }
  }

  private Conversion planned(WeightSource weights) {
    var source =
        new SourceModel(
            weights, PublishedJson.fileOf(model.home()), PublishedJson.read(model.home()));
    return switch (architecture) {
      case DENSE -> ToDense.of(source, expert);
      case MOIIE, VANILLA_MOE, MODALITY_MOE, ROUTED_MODALITY_MOE ->
          ToMixture.of(
              source, mixture.mixture(architecture), new LayerChoice(layers), mixture.routerSeed());
    };
  }

  private void report(ConversionReceipt receipt, PrintWriter out) {
    out.printf("%s to %s, experts in layers %s%n", receipt.from(), receipt.to(), receipt.layers());
    out.printf(
        "%d tensors copied, %d cloned from %d, %d drawn, %d dropped; every copy has its source's SHA-256%n",
        receipt.copied(),
        receipt.cloned(),
        receipt.clones().size(),
        receipt.drawn().size(),
        receipt.dropped().size());
    LogitReceipt logits = receipt.logits();
    out.println(logits == null ? "logits were not compared" : logits.text());
    out.printf("written: %s%n", output);
    out.flush();
  }
}
