package io.moextend.cli;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.adapter.AdapterConfig;
import io.moextend.autograd.Parameter;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider;
import io.moextend.backend.Backends;
import io.moextend.checkpoint.FrozenProof;
import io.moextend.comm.device.Conversation;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.data.Share;
import io.moextend.data.prompted.PromptedBatches;
import io.moextend.model.OpenAdapters;
import io.moextend.model.OpenT5;
import io.moextend.model.T5;
import io.moextend.stage.FreezePlan;
import io.moextend.stage.Stage;
import io.moextend.stage.TrainableTable;
import io.moextend.text.Tokenizer;
import io.moextend.train.AdaptConfig;
import io.moextend.train.AdaptModel;
import io.moextend.train.AdaptObjective;
import io.moextend.train.DrawnBatches;
import io.moextend.train.Peers;
import io.moextend.train.Progress;
import io.moextend.train.PromptedData;
import io.moextend.train.SharedFolder;
import io.moextend.train.SharedProof;
import io.moextend.train.TrainPlan;
import io.moextend.train.Trainer;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Builds all that a run needs which adapts an encoder-decoder to prompted tasks, runs it, and
 * leaves its folder.
 */
final class AdaptRun {
  private final AdaptConfig config;
  private final RankGroup group;
  private final PrintStream out;
  private final Progress.Display display;
  private final Path output;
  private final FreezePlan plan;

  /**
   * @param group not owned; on all its ranks but the first nothing is said
   */
  AdaptRun(AdaptConfig config, RankGroup group, PrintStream out, Progress.Display display) {
    this.config = config;
    this.group = group;
    this.out = group.rank() == 0 ? out : new PrintStream(PrintStream.nullOutputStream());
    this.display = group.rank() == 0 ? display : Progress.Display.QUIET;
    this.output = config.checkpoints().outputDir();
    this.plan = FreezePlan.of(config.adapter().method().adds() ? Stage.ADAPT : Stage.FULL);
  }

  /** To the end, or until it is asked to stop. */
  Trainer.Ending run() {
    new RunFolder(AdaptModel.folders(config.model()), output).open();
    HuggingFaceConfig published = HuggingFaceConfig.read(config.model().base());
    AdapterConfig adapters = AdaptModel.adapters(config, published.t5());
    try (Tokenizer tokenizer = AdaptModel.tokenizer(config.model());
        PromptedData data = PromptedData.open(config, tokenizer, published.t5().vocab());
        Backend backend = backend();
        Conversation conversation = group.conversation(backend);
        Adapted adapted = open(backend, published, adapters)) {
      out.printf(
          "%s on %s (%s)%n", config.adapter().method().word(), backend.name(), backend.device());
      return train(new RunCourse.Rank(backend, conversation), published, adapted, data);
    }
  }

  /** A model and its adapters, which are closed after it. */
  private record Adapted(OpenT5 open, @Nullable OpenAdapters adapters) implements AutoCloseable {
    T5 model() {
      return open.model();
    }

    @Nullable AdapterConfig config() {
      return adapters == null ? null : adapters.adapters().config();
    }

    /** Null where the model itself trains. */
    @Nullable TrainedAdapters written(Backend backend, Path base, List<Parameter> trained) {
      AdapterConfig config = config();
      return config == null
          ? null
          : new TrainedAdapters(backend, config, base, open.source(), trained);
    }

    @Override
    public void close() {
      open.close();
      if (adapters != null) {
        adapters.close();
      }
    }
  }

  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // closed with the result, or below on failure
  private Adapted open(
      Backend backend, HuggingFaceConfig published, @Nullable AdapterConfig adapters) {
    var dtype = config.training().dtype().dtype();
    OpenAdapters sites =
        adapters == null
            ? null
            : OpenAdapters.of(
                adapters,
                AdaptModel.trained(config.model(), published.t5()),
                backend,
                dtype,
                plan,
                config.training().seed());
    try {
      OpenT5 model = AdaptModel.open(config.model(), published.t5(), backend, dtype, plan, sites);
      return new Adapted(model, sites);
    } catch (RuntimeException e) {
      if (sites != null) {
        sites.close();
      }
      throw e;
    }
  }

  @MustBeClosed
  private Backend backend() {
    Integer threads = config.training().threads();
    return Backends.open(
        config.training().backend(),
        new BackendProvider.Options(
            threads == null ? group.threads() : threads, group.device(), group.share()),
        config.training().dtype().dtype());
  }

  private Trainer.Ending train(
      RunCourse.Rank rank, HuggingFaceConfig published, Adapted adapted, PromptedData data) {
    Backend backend = rank.backend();
    Peers peers = rank.peers();
    T5 model = adapted.model();
    List<Parameter> trained = plan.applyTo(model);
    out.println(TrainableTable.of(model).text());
    new SharedFolder(output, peers, TrainingRun.TO_SEE_A_FILE).requireShared();
    FrozenProof base = SharedProof.of(adapted.open().source(), peers);
    var share = new Share(config.training().perDeviceTrainBatchSize(), peers.rank(), peers.world());
    TrainPlan steps = AdaptModel.plan(config);
    try (RankOptimizer optimizer =
            RankOptimizer.of(
                backend,
                rank.conversation(),
                model,
                RankOptimizer.Update.of(config.optimizer(), trained),
                config.distributed());
        PromptedBatches batches = data.batches(share)) {
      var objective =
          new AdaptObjective(
              backend,
              model,
              AdaptModel.loss(config.training()),
              adapted.config(),
              AdaptModel.settings(config.training(), peers.world()));
      TrainedAdapters adapters = adapted.written(backend, config.model().base(), trained);
      Trainer.Ending ending =
          new RunCourse(config, rank, group, out, display)
              .run(
                  RunCourse.Subject.of(
                      Stage.ADAPT.word(),
                      adapted.open().source(),
                      base,
                      trained,
                      trained,
                      adapters),
                  new RunCourse.Work<>(objective, new DrawnBatches(batches), data.evaluation()),
                  optimizer,
                  steps,
                  frozen ->
                      new FinishedAdapt(config, group, out)
                          .write(backend, published, adapted.open(), adapters, trained, frozen));
      batches.remark().ifPresent(out::println);
      return ending;
    }
  }
}
