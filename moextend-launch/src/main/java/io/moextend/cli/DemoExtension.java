package io.moextend.cli;

import io.moextend.backend.Backend;
import io.moextend.checkpoint.CheckpointFolder;
import io.moextend.checkpoint.Fingerprint;
import io.moextend.checkpoint.WeightSource;
import io.moextend.config.DecoderConfig;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.config.VisionConfig;
import io.moextend.data.BatchesAhead;
import io.moextend.data.FirstTurns;
import io.moextend.data.ImageRoot;
import io.moextend.data.KeptTurns;
import io.moextend.data.Pictures;
import io.moextend.data.PromptEncoder;
import io.moextend.data.SampleFile;
import io.moextend.data.Talk;
import io.moextend.data.image.ClipPreprocessing;
import io.moextend.data.image.ImageDecoder;
import io.moextend.demo.DemoData;
import io.moextend.model.OpenModel;
import io.moextend.stage.CountingMode;
import io.moextend.stage.ExpertDistribution;
import io.moextend.stage.ExtensionPlan;
import io.moextend.stage.InitExpert;
import io.moextend.stage.InitReceipt;
import io.moextend.stage.RoutingCensus;
import io.moextend.stage.RoutingCounter;
import io.moextend.text.Tokenizer;
import io.moextend.train.ModelFiles;
import io.moextend.train.ModelSection;
import java.nio.file.Path;
import java.util.Set;

/** What stands between the extension stage and finetuning: count, choose, grow. */
final class DemoExtension {
  private static final int ROWS = 32;
  private static final int RECEIPT_LENGTH = 64;

  private final DemoSettings settings;
  private final DemoData data;
  private final Backend backend;

  /** Routes before and after, and what was made of them. */
  record Counted(
      RoutingCensus before,
      RoutingCensus after,
      ExpertDistribution distribution,
      ExtensionPlan.Source source) {
    ExtensionPlan plan() {
      return distribution.plan(source);
    }
  }

  private record Census(String fingerprint, RoutingCensus routes) {}

  DemoExtension(DemoSettings settings, DemoData data, Backend backend) {
    this.settings = settings;
    this.data = data;
    this.backend = backend;
  }

  /**
   * Counts over the instruction samples' first turns.
   *
   * @param before model before the extension stage
   * @param after the same behind it
   */
  Counted count(Path before, Path after) {
    var section = new ModelSection(after, null, null, null);
    try (SampleFile file = SampleFile.open(data.instructions(), KeptTurns.FIRST_ONLY, null);
        Tokenizer tokenizer = ModelFiles.tokenizer(section)) {
      ModelFiles files = ModelFiles.of(section, tokenizer, settings.seed());
      DecoderConfig config = files.config().decoder();
      VisionConfig vision = config.vision();
      ClipPreprocessing preprocessing = files.preprocessing();
      if (vision == null || preprocessing == null) {
        throw new IllegalStateException(after + " has no vision part after alignment");
      }
      var pictures = new Pictures(new ImageRoot(data.root()), new ImageDecoder(), preprocessing);
      PromptEncoder encoder =
          Talk.named(Talk.AUTO, config.type()).prompts(tokenizer, vision, DemoStages.LONGEST);
      FirstTurns turns = FirstTurns.of(file, file.size(), encoder, pictures, config.vocab());
      return compared(census(before, turns), census(after, turns), turns);
    }
  }

  private Counted compared(Census before, Census after, FirstTurns turns) {
    String name = String.valueOf(data.instructions().getFileName());
    return new Counted(
        before.routes(),
        after.routes(),
        ExpertDistribution.between(before.routes(), after.routes(), CountingMode.PAPER),
        new ExtensionPlan.Source(
            before.fingerprint(), after.fingerprint(), name, turns.size(), turns.tokens()));
  }

  private Census census(Path folder, FirstTurns turns) {
    try (OpenModel model =
            OpenModel.of(
                CheckpointFolder.open(folder),
                HuggingFaceConfig.read(folder).decoder(),
                backend,
                settings.dtype().dtype(),
                Set.of(),
                0);
        BatchesAhead batches = turns.ahead(ROWS)) {
      var counter = new RoutingCounter(backend, model.decoder());
      return new Census(
          Fingerprint.of(model.source()).hex(),
          counter.census(batches, CountingMode.PAPER, (_, _) -> {}));
    }
  }

  /** Writes the grown model and measures what growing did to the logits. */
  InitReceipt grow(Path model, ExtensionPlan plan, Path output) {
    HuggingFaceConfig old = HuggingFaceConfig.read(model);
    DecoderConfig grown;
    try (WeightSource source = CheckpointFolder.open(model)) {
      var init = new InitExpert(source, old, plan, settings.seed());
      grown = init.extendedConfig().decoder();
      init.write(model, output);
    }
    return InitReceipt.measure(
        backend,
        settings.dtype().dtype(),
        old.decoder(),
        grown,
        () -> CheckpointFolder.open(model),
        () -> CheckpointFolder.open(output),
        RECEIPT_LENGTH,
        settings.seed());
  }
}
