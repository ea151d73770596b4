package io.moextend.cli;

import io.moextend.backend.Backend;
import io.moextend.checkpoint.CheckpointFolder;
import io.moextend.checkpoint.WeightSource;
import io.moextend.config.ConfigException;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.launch.ExitCodes;
import io.moextend.stage.ExtensionPlan;
import io.moextend.stage.InitExpert;
import io.moextend.stage.InitReceipt;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Grows a model by the experts of a plan. */
@Command(
    name = "init-expert",
    mixinStandardHelpOptions = true,
    description = {
      "Adds to each planned layer an expert copied from its donor, its gate row and its calibration; writes a whole model.",
      "Prints a receipt: the largest change of any logit with the new gates masked (must be 0) and unmasked."
    },
    footer = {
      "",
      "Example:  moextend init-expert --model runs/extension/model --plan extension.json --output runs/grown"
    })
final class InitExpertCommand implements Callable<Integer> {
  @Spec private @Nullable CommandSpec spec;
  @Mixin private final ModelOptions model = new ModelOptions();
  @Mixin private final BackendOptions backend = new BackendOptions();

  @Option(
      names = "--plan",
      required = true,
      paramLabel = "FILE",
      description = "extension.json of expert-distribution.")
  private Path plan = Path.of("");

  @Option(
      names = "--output",
      required = true,
      paramLabel = "DIR",
      description = "Folder of the grown model.")
  private Path output = Path.of("");

  @Option(
      names = "--seed",
      defaultValue = "42",
      description = "Of the calibrations' random matrices (default: ${DEFAULT-VALUE}).")
  private long seed;

  @Option(
      names = "--receipt-length",
      defaultValue = "64",
      description =
          "Length of the two random sequences the receipt compares; 0 = no receipt (default: ${DEFAULT-VALUE}).")
  private int receiptLength;

  @Override
  public Integer call() {
    PrintWriter out = Commands.out(spec);
    requireApart();
    ExtensionPlan read = ExtensionPlan.read(plan);
    HuggingFaceConfig grown;
    try (WeightSource source = model.weights()) {
      InitExpert init = planned(source, read);
      grown = init.extendedConfig();
      init.write(model.home(), output);
    }
    for (ExtensionPlan.Extended e : read.extended()) {
      out.printf(
          "layer %d: new expert %d is a copy of expert %d%n", e.layer(), read.experts(), e.donor());
    }
    out.printf("written: %s%n", output);
    out.flush();
    return receiptLength == 0 ? 0 : receipt(grown, out);
  }

  /** A checkpoint at --output is replaced, and the one that is grown must outlive that. */
  private void requireApart() {
    for (Path old : List.of(model.folder(), model.home())) {
      if (output.toAbsolutePath().normalize().equals(old.toAbsolutePath().normalize())) {
        throw new ConfigException(
            "--output", output, "is the model that is to be grown; name another folder");
      }
    }
  }

  private InitExpert planned(WeightSource source, ExtensionPlan read) {
    try {
      return new InitExpert(source, model.config(), read, seed);
    } catch (ConfigException e) {
      throw new ConfigException("%s for %s: %s".formatted(plan, model.folder(), e.getMessage()), e);
    }
  }

  private int receipt(HuggingFaceConfig grown, PrintWriter out) {
    InitReceipt receipt;
    try (Backend opened = backend.open()) {
      receipt =
          InitReceipt.measure(
              opened,
              backend.dtype(),
              model.config().decoder(),
              grown.decoder(),
              model::weights,
              () -> CheckpointFolder.open(output),
              receiptLength,
              seed);
    }
    out.printf(
        "receipt over %d tokens: largest logit change %s with the new gates masked, %s unmasked%n",
        receipt.tokens(), receipt.masked(), receipt.unmasked());
    out.flush();
    if (receipt.masked() != 0) {
      Commands.err(spec)
          .println("moextend: the old model moved; " + output + " is not to be trusted");
      return ExitCodes.FOUND;
    }
    return 0;
  }
}
