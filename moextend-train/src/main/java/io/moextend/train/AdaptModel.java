package io.moextend.train;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.adapter.AdapterConfig;
import io.moextend.adapter.StoredAdapter;
import io.moextend.array.DType;
import io.moextend.backend.Backend;
import io.moextend.checkpoint.CheckpointFolder;
import io.moextend.checkpoint.WeightSource;
import io.moextend.config.T5Config;
import io.moextend.model.OpenAdapters;
import io.moextend.model.OpenT5;
import io.moextend.model.ParameterChoice;
import io.moextend.model.T5Loss;
import io.moextend.nn.Sites;
import io.moextend.stage.CompanionFiles;
import io.moextend.text.Tokenizer;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** What a run's configuration makes of a base model: its adapters, loss and plan. */
public final class AdaptModel {
  private AdaptModel() {}

  /** What a run reads. */
  public static List<Path> folders(AdaptConfig.Model model) {
    return Stream.of(model.base(), model.adapter(), model.tokenizer())
        .filter(Objects::nonNull)
        .toList();
  }

  /** Folders whose tokenizer goes along with a whole model. */
  public static List<Path> companions(AdaptConfig.Model model) {
    return CompanionFiles.folders(null, model.base(), model.tokenizer());
  }

  /** The tokenizer the section names, else the base's. */
  @MustBeClosed
  public static Tokenizer tokenizer(AdaptConfig.Model model) {
    Path named = model.tokenizer();
    return Tokenizer.open(named == null ? model.base() : named);
  }

  /**
   * @return null where the model itself trains
   * @throws io.moextend.config.ConfigException where adapters to go on from are not those that the
   *     run asks for
   */
  public static @Nullable AdapterConfig adapters(AdaptConfig config, T5Config model) {
    AdapterConfig asked = config.adapter().config();
    Path folder = config.model().adapter();
    if (folder != null && asked != null) {
      config.adapter().requireSame("model.adapter", folder, model);
    }
    return asked;
  }

  /**
   * The adapters to go on from; to be closed.
   *
   * @return null where the run starts fresh ones
   */
  @SuppressWarnings("MustBeClosedChecker") // handed to the caller, who closes it
  public static @Nullable WeightSource trained(AdaptConfig.Model model, T5Config config) {
    Path folder = model.adapter();
    if (folder == null) {
      return null;
    }
    return StoredAdapter.open(folder, config).weights();
  }

  /**
   * The base with its adapters in their places.
   *
   * @param adapters null where there are none
   */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // handed to the caller, who closes it
  public static OpenT5 open(
      AdaptConfig.Model model,
      T5Config config,
      Backend backend,
      DType dtype,
      ParameterChoice trained,
      @Nullable OpenAdapters adapters) {
    Sites sites = adapters == null ? Sites.NONE : adapters;
    OpenT5 open =
        OpenT5.of(CheckpointFolder.open(model.base()), config, backend, dtype, trained, sites);
    try {
      if (adapters != null) {
        adapters.requireAllUsed();
      }
      return open;
    } catch (RuntimeException e) {
      open.close();
      throw e;
    }
  }

  public static T5Loss loss(AdaptTraining how) {
    return new T5Loss(
        switch (how.lossNormalizer()) {
          case AVERAGE_PER_SEQUENCE -> T5Loss.Normalizer.AVERAGE_PER_SEQUENCE;
          case REAL_TOKENS -> T5Loss.Normalizer.REAL_TOKENS;
          case TOTAL_TOKENS -> T5Loss.Normalizer.TOTAL_TOKENS;
          case NONE -> T5Loss.Normalizer.NONE;
        },
        how.zLoss(),
        how.labelSmoothing());
  }

  public static AdaptObjective.Settings settings(AdaptTraining how, int world) {
    return new AdaptObjective.Settings(
        how.gradientCheckpointing(),
        how.dropoutRate(),
        how.seed(),
        how.gradientAccumulationSteps(),
        world);
  }

  public static TrainPlan plan(AdaptConfig config) {
    return new TrainPlan(
        config.training().maxSteps(),
        config.training().gradientAccumulationSteps(),
        config.optimizer().maxGradNorm(),
        config.evaluation().evalSteps(),
        config.checkpoints().saveSteps());
  }
}
