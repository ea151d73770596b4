package io.moextend.cli;

import io.moextend.autograd.Parameter;
import io.moextend.backend.Backend;
import io.moextend.checkpoint.CheckpointFolder;
import io.moextend.checkpoint.WeightSource;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.model.OpenT5;
import io.moextend.stage.Stage;
import io.moextend.train.AdaptConfig;
import io.moextend.train.AdaptModel;
import io.moextend.train.FrozenTensors;
import io.moextend.train.WholeModel;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What a run that adapted a model leaves in its folder: the adapters alone, in PEFT's files where
 * PEFT has such, or the whole model where that trained; and report.html.
 *
 * @param group not owned
 */
record FinishedAdapt(AdaptConfig config, RankGroup group, PrintStream out) {
  /**
   * Of one rank, which holds every weight.
   *
   * @param adapters null where the model itself trained
   */
  void write(
      Backend backend,
      HuggingFaceConfig published,
      OpenT5 model,
      @Nullable TrainedAdapters adapters,
      List<Parameter> trained,
      FrozenTensors frozen) {
    Path output = config.checkpoints().outputDir();
    Path folder = FinishedRun.model(output);
    if (adapters == null) {
      new WholeModel(backend, model.source(), published, trained)
          .write(AdaptModel.companions(config.model()), folder);
      try (WeightSource written = CheckpointFolder.open(folder)) {
        frozen.requireUnmoved(written);
      }
    } else {
      frozen.requireUnmoved(model.source());
      adapters.write(folder);
    }
    var settings = new LinkedHashMap<String, String>();
    settings.put("stage", Stage.ADAPT.word());
    settings.put("method", config.adapter().method().word());
    settings.put("base", config.model().base().toString());
    settings.put("learning rate", String.valueOf(config.optimizer().learningRate()));
    settings.put("dtype", config.training().dtype().toString());
    new RunReport(config, group)
        .write(Stage.ADAPT.word() + " " + config.adapter().method().word(), settings);
    out.printf("model: %s%nreport: %s%n", folder, output.resolve("report.html"));
  }
}
