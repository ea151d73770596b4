package io.moextend.cli;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider;
import io.moextend.backend.Backends;
import io.moextend.checkpoint.Fingerprint;
import io.moextend.checkpoint.FrozenProof;
import io.moextend.comm.device.Conversation;
import io.moextend.config.ConfigException;
import io.moextend.data.Batch;
import io.moextend.data.Share;
import io.moextend.data.Talk;
import io.moextend.model.OpenModel;
import io.moextend.model.ParameterChoice;
import io.moextend.stage.FreezePlan;
import io.moextend.stage.Stage;
import io.moextend.stage.TrainableTable;
import io.moextend.text.Tokenizer;
import io.moextend.train.CheckpointStore;
import io.moextend.train.ConfigFile;
import io.moextend.train.ConversationPeers;
import io.moextend.train.DecoderObjective;
import io.moextend.train.FrozenTensors;
import io.moextend.train.LoadedBatches;
import io.moextend.train.MetricsLog;
import io.moextend.train.ModelFiles;
import io.moextend.train.OptimizerFile;
import io.moextend.train.Peers;
import io.moextend.train.Progress;
import io.moextend.train.RunData;
import io.moextend.train.SharedFolder;
import io.moextend.train.SharedProof;
import io.moextend.train.TrainConfig;
import io.moextend.train.TrainPlan;
import io.moextend.train.TrainedWeights;
import io.moextend.train.Trainer;
import java.io.PrintStream;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * Builds all that one stage's run needs, runs it, and leaves its folder: the composition root of
 * training.
 */
final class TrainingRun {
  /** What a network's file system may need to show another host's new file. */
  private static final Duration TO_SEE_A_FILE = Duration.ofSeconds(10);

  private final FreezePlan freezePlan;
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
    this.freezePlan = config.training().plan(stage);
    this.config = config;
    this.group = group;
    this.out = group.rank() == 0 ? out : new PrintStream(PrintStream.nullOutputStream());
    this.display = group.rank() == 0 ? display : Progress.Display.QUIET;
    this.output = config.checkpoints().outputDir();
  }

  /** To the end, or until it is asked to stop. */
  Trainer.Ending run() {
    new RunFolder(config.model(), output).open();
    Talk talk = ModelFiles.talk(config.model(), config.data().conversationTemplate());
    try (Tokenizer tokenizer = ModelFiles.tokenizer(config.model(), talk);
        Backend backend = backend();
        Conversation conversation = group.conversation(backend)) {
      ModelFiles files = ModelFiles.of(config.model(), tokenizer, config.training().seed());
      try (RunData data = RunData.open(config, files, tokenizer, this::looked);
          OpenModel model =
              OpenModel.of(
                  files.open(),
                  files.config().decoder(),
                  backend,
                  config.training().dtype().dtype(),
                  freezePlan,
                  config.training().seed(),
                  sharded())) {
        out.printf("%s on %s (%s)%n", freezePlan.stage().word(), backend.name(), backend.device());
        files.requireProjector(model.initialised());
        model.initialised().forEach(name -> out.println("starts fresh, not in the base: " + name));
        return train(new Rank(backend, conversation), files, data, model);
      }
    }
  }

  /** What this process computes with and talks through. */
  private record Rank(Backend backend, Conversation conversation) {
    Peers peers() {
      return conversation.world() == 1 ? Peers.NONE : new ConversationPeers(conversation);
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

  private void looked(long samples) {
    if (display != Progress.Display.QUIET) {
      out.printf("%,d samples looked at%n", samples);
    }
  }

  private Trainer.Ending train(Rank rank, ModelFiles files, RunData data, OpenModel model) {
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
    Set<String> names = trained.stream().map(Parameter::name).collect(Collectors.toSet());
    FrozenProof all = SharedProof.of(model.source(), peers);
    FrozenProof proof = all.only(name -> !names.contains(name));
    var frozen = new FrozenTensors(proof, model.source());
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
      var store =
          new CheckpointStore(
              output,
              config.checkpoints().saveTotalLimit(),
              List.of(
                  new TrainedWeights(backend, own, Fingerprint.of(all)),
                  new OptimizerFile(backend, optimizer.optimizer()),
                  frozen,
                  new ConfigFile(config)),
              peers,
              optimizer.whole());
      var objective =
          new DecoderObjective(
              backend,
              model.decoder(),
              config.training().loss(model.decoder().config()),
              config.training().gradientCheckpointing(),
              TowerFeatures.cache(
                  config, model.decoder().config(), files.preprocessing(), all, out));
      var parts =
          new Trainer.Parts<Batch>(
              backend,
              objective,
              batches,
              data.evaluation(config.evaluation().perDeviceEvalBatchSize()),
              optimizer.optimizer(),
              config.optimizer().schedule(plan.steps()),
              store,
              List.of(
                  new MetricsLog(output, () -> backend.memory().peakBytes()),
                  new Progress(out, display, plan.steps(), config.loggingSteps())),
              identity(all, peers.world()),
              output,
              peers,
              group.stop(),
              peers.world() == 1 ? null : new CommunicationClock(rank.conversation()));
      var trainer = new Trainer<>(parts, plan);
      store.sweep();
      store.find(resumeFrom()).ifPresent(trainer::resume);
      if (peers.rank() == 0) {
        // not before: a run that is refused leaves an earlier one's files as they are
        new ConfigFile(config).write(output);
        proof.write(output.resolve(FrozenProof.FILE));
      }
      Trainer.Ending ending = trainer.run();
      if (ending == Trainer.Ending.DONE) {
        optimizer
            .whole()
            .during(
                () -> {
                  if (peers.rank() == 0) {
                    new FinishedRun(freezePlan.stage(), config, group, out)
                        .write(backend, files, model, own, frozen);
                  }
                });
      }
      return ending;
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

  /** A group that was started again goes on where it can, whatever the first start was told. */
  private String resumeFrom() {
    return group.generation() > 0 ? "auto" : config.checkpoints().resumeFromCheckpoint();
  }

  private SequencedMap<String, String> identity(FrozenProof base, int world) {
    var identity = new LinkedHashMap<String, String>();
    identity.put("stage", freezePlan.stage().word());
    identity.put("base", Fingerprint.of(base).hex());
    identity.putAll(config.identity(world));
    return identity;
  }
}
