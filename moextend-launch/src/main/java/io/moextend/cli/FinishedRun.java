package io.moextend.cli;

import io.moextend.adapter.Adapters;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.backend.Backend;
import io.moextend.checkpoint.CheckpointFolder;
import io.moextend.checkpoint.FrozenProof;
import io.moextend.checkpoint.WeightSource;
import io.moextend.config.DecoderType.Eyes;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.model.OpenModel;
import io.moextend.stage.CompanionFiles;
import io.moextend.stage.Stage;
import io.moextend.train.FrozenTensors;
import io.moextend.train.ModelFiles;
import io.moextend.train.ModelSection;
import io.moextend.train.TrainConfig;
import io.moextend.train.TrainingSection;
import io.moextend.train.WholeModel;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What a run that came to its end leaves in its folder: the whole model, proved against what was
 * frozen, and report.html.
 *
 * @param group not owned
 */
record FinishedRun(Stage stage, TrainConfig config, RankGroup group, PrintStream out) {
  private Path output() {
    return config.checkpoints().outputDir();
  }

  /** Where the whole trained model is, or will be, in a run's folder. */
  static Path model(Path output) {
    return output.resolve("model");
  }

  /**
   * Of one rank, which holds every weight.
   *
   * @param all what {@code model}'s source does not say: what trained, and what started fresh
   */
  void write(
      Backend backend,
      ModelFiles files,
      OpenModel model,
      List<Parameter> all,
      FrozenTensors frozen) {
    TrainedAdapters adapters = TrainedAdapters.of(stage, config, backend, model);
    if (adapters != null) {
      Path folder =
          stage == Stage.ADAPT ? model(output()) : output().resolve(TrainedAdapters.FOLDER);
      adapters.write(folder);
      out.printf("adapters: %s%n", folder);
    }
    if (stage == Stage.ADAPT) {
      frozen.requireUnmoved(model.source());
      report();
      Path base = config.model().base();
      out.printf("report: %s%n", output().resolve("report.html"));
      out.printf(
          "every tensor of the base is byte for byte as it was: moextend verify --model %s --proof %s%n",
          base, output().resolve(FrozenProof.FILE));
      return;
    }
    List<Parameter> own = all.stream().filter(p -> p.role() != Role.ADAPTER).toList();
    Path whole = model(output());
    ModelSection from = config.model();
    new WholeModel(backend, model.source(), config(files, own), own)
        .write(CompanionFiles.folders(from.visionTower(), from.base(), from.tokenizer()), whole);
    try (WeightSource written = CheckpointFolder.open(whole)) {
      frozen.requireUnmoved(written, name -> !Adapters.isTensor(name));
    }
    report();
    out.printf("model: %s%nreport: %s%n", whole, output().resolve("report.html"));
    out.println("every frozen tensor is byte for byte as it was: moextend verify --model " + whole);
  }

  /** Bunny's loader takes a model's own tower only where this field says that it learnt. */
  private static HuggingFaceConfig config(ModelFiles files, List<Parameter> own) {
    boolean bunny = files.config().decoder().type().eyes() == Eyes.BUNNY;
    boolean learnt = own.stream().anyMatch(p -> p.role() == Role.VISION_TOWER && p.requiresGrad());
    return bunny && learnt ? files.config().with("unfreeze_vision_tower", true) : files.config();
  }

  private void report() {
    var settings = new LinkedHashMap<String, String>();
    settings.put("stage", stage.word());
    settings.put("base", String.valueOf(config.model().base()));
    settings.put("learning rate", String.valueOf(config.optimizer().learningRate()));
    putRules(settings);
    settings.put("dtype", config.training().dtype().toString());
    new RunReport(config, group).write(stage.word(), settings);
  }

  private void putRules(Map<String, String> settings) {
    TrainingSection how = config.training();
    if (!how.train().isEmpty()) {
      settings.put("trains too", String.join(", ", how.train()));
    }
    if (!how.freeze().isEmpty()) {
      settings.put("does not train", String.join(", ", how.freeze()));
    }
  }
}
