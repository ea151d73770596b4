package io.moextend.cli;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.adapter.AdapterConfig;
import io.moextend.adapter.Adapters;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider;
import io.moextend.backend.Backends;
import io.moextend.checkpoint.FrozenProof;
import io.moextend.comm.device.Conversation;
import io.moextend.config.ConfigException;
import io.moextend.data.Share;
import io.moextend.data.Talk;
import io.moextend.model.OpenModel;
import io.moextend.model.ParameterChoice;
import io.moextend.stage.FreezePlan;
import io.moextend.stage.Stage;
import io.moextend.stage.TrainableTable;
import io.moextend.text.Tokenizer;
import io.moextend.train.DecoderObjective;
import io.moextend.train.LoadedBatches;
import io.moextend.train.ModelFiles;
import io.moextend.train.Peers;
import io.moextend.train.Progress;
import io.moextend.train.RunData;
import io.moextend.train.SharedFolder;
import io.moextend.train.SharedProof;
import io.moextend.train.TrainConfig;
import io.moextend.train.TrainPlan;
import io.moextend.train.Trainer;
import java.io.PrintStream;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Builds all that one stage's run needs, runs it, and leaves its folder: the composition root of
 * training.
 */
final class TrainingRun {
  /** What a network's file system may need to show another host's new file. */
  static final Duration TO_SEE_A_FILE = Duration.ofSeconds(10);

  private final FreezePlan freezePlan;
  private final @Nullable AdapterConfig adapters;
  private final TrainConfig config;
  private final PrintStream out;
  private final Progress.Display display;
  private final Path output;
  private final RankGroup group;

  /**
   * @param group not owned; on all its ranks but the first nothing is said
   */
  TrainingRun(
      Stage stage, TrainConfig config, RankGroup group, PrintStream out, Progress.Display display) {
    this.adapters = config.adapter().config();
    this.freezePlan = plan(stage, config);
    this.config = config;
    this.group = group;
    this.out = group.rank() == 0 ? out : new PrintStream(PrintStream.nullOutputStream());
    this.display = group.rank() == 0 ? display : Progress.Display.QUIET;
    this.output = config.checkpoints().outputDir();
  }

  /** What is added learns in every stage. */
  private static FreezePlan plan(Stage stage, TrainConfig config) {
    FreezePlan plan = config.training().plan(stage);
    boolean adds = config.adapter().method().adds();
    if (stage == Stage.ADAPT && !adds) {
      throw new ConfigException(
          "adapter.method", "none", "choose ia3, lora, mov or molora; --method does it too");
    }
    return adds ? plan.training(Role.ADAPTER) : plan;
  }

  /** To the end, or until it is asked to stop. */
  Trainer.Ending run() {
    RunFolder.of(config.model(), output).open();
    Talk talk = ModelFiles.talk(config.model(), config.data().conversationTemplate());
    try (Tokenizer tokenizer = ModelFiles.tokenizer(config.model(), talk);
        Backend backend = backend();
        Conversation conversation = group.conversation(backend)) {
      ModelFiles files = ModelFiles.of(config.model(), tokenizer, config.training().seed());
      files.requireAdapter(config.adapter());
      try (RunData data = RunData.open(config, files, tokenizer, this::looked);
          OpenModel model =
              OpenModel.of(
                  files.open(),
                  files.config().decoder(),
                  backend,
                  config.training().dtype().dtype(),
                  freezePlan,
                  config.training().seed(),
                  sharded(),
                  adapters)) {
        out.printf("%s on %s (%s)%n", freezePlan.stage().word(), backend.name(), backend.device());
        files.requireProjector(model.initialised());
        files.requireAdapter(model.initialised());
        model.initialised().stream()
            .filter(name -> !Adapters.isTensor(name))
            .forEach(name -> out.println("starts fresh, not in the base: " + name));
        return train(new RunCourse.Rank(backend, conversation), files, data, model);
      }
    }
  }

  @MustBeClosed
  private Backend backend() {
    Integer threads = config.training().threads();
    return Backends.open(
        config.training().backend(),
        new BackendProvider.Options(
            threads == null ? group.threads() : threads,
            group.device(),
            group.share(),
            new CudaOptions().search()),
        config.training().dtype().dtype());
  }

  private void looked(long samples) {
    if (display != Progress.Display.QUIET) {
      out.printf("%,d samples looked at%n", samples);
    }
  }

  private Trainer.Ending train(
      RunCourse.Rank rank, ModelFiles files, RunData data, OpenModel model) {
    Backend backend = rank.backend();
    Peers peers = rank.peers();
    List<Parameter> trained = freezePlan.applyTo(model.decoder());
    out.println(TrainableTable.of(model.decoder()).text());
    requireFrozenTower(trained);
    data.remarks().forEach(out::println);
    new SharedFolder(output, peers, TO_SEE_A_FILE).requireShared();
    Set<String> fresh = Set.copyOf(model.initialised());
    List<Parameter> own =
        model.decoder().parameters().stream()
            .filter(p -> p.requiresGrad() || fresh.contains(p.name()))
            .toList();
    FrozenProof all = SharedProof.of(model.source(), peers);
    var share = new Share(config.training().perDeviceTrainBatchSize(), peers.rank(), peers.world());
    TrainPlan plan =
        TrainPlan.of(
            config, share.microBatchesPerEpoch(data.order(config, peers.world())), peers.world());
    try (RankOptimizer optimizer =
            RankOptimizer.of(
                backend,
                rank.conversation(),
                model.decoder(),
                model.weights(),
                RankOptimizer.Update.of(config.optimizer(), trained),
                (name, role) -> sharded().has(name, role) && !fresh.contains(name),
                config.distributed());
        LoadedBatches batches = data.batches(config, share)) {
      var objective =
          new DecoderObjective(
              backend,
              model.decoder(),
              config.training().loss(model.decoder().config()),
              config.training().gradientCheckpointing(),
              TowerFeatures.cache(
                  config, model.decoder().config(), files.preprocessing(), all, out),
              adapters);
      return new RunCourse(config, rank, group, out, display)
          .run(
              RunCourse.Subject.of(
                  freezePlan.stage().word(),
                  model.source(),
                  all,
                  trained,
                  own,
                  TrainedAdapters.of(freezePlan.stage(), config, backend, model)),
              new RunCourse.Work<>(
                  objective,
                  batches,
                  data.evaluation(config.evaluation().perDeviceEvalBatchSize())),
              optimizer,
              plan,
              frozen ->
                  new FinishedRun(freezePlan.stage(), config, group, out)
                      .write(backend, files, model, own, frozen));
    }
  }

  private ParameterChoice sharded() {
    return RankOptimizer.sharded(freezePlan, config.distributed(), group.world());
  }

  private void requireFrozenTower(List<Parameter> trained) {
    Path cache = config.data().featureCache();
    if (cache != null && trained.stream().anyMatch(p -> p.role() == Role.VISION_TOWER)) {
      throw new ConfigException(
          "data.feature_cache",
          cache,
          "the vision tower trains, so what it makes of a picture changes; write null");
    }
  }
}
