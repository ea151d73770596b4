package io.moextend.cli;

import io.moextend.autograd.Parameter;
import io.moextend.backend.Backend;
import io.moextend.checkpoint.Fingerprint;
import io.moextend.checkpoint.FrozenProof;
import io.moextend.checkpoint.WeightSource;
import io.moextend.comm.device.Conversation;
import io.moextend.train.BatchSource;
import io.moextend.train.CheckpointPart;
import io.moextend.train.CheckpointStore;
import io.moextend.train.ConfigFile;
import io.moextend.train.ConversationPeers;
import io.moextend.train.FrozenTensors;
import io.moextend.train.MetricsLog;
import io.moextend.train.Objective;
import io.moextend.train.OptimizerFile;
import io.moextend.train.Peers;
import io.moextend.train.Progress;
import io.moextend.train.RunConfig;
import io.moextend.train.SameData;
import io.moextend.train.TrainPlan;
import io.moextend.train.TrainedWeights;
import io.moextend.train.Trainer;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import java.util.Set;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * A run from its first step, or the checkpoint it goes on from, to its end: what is the same
 * whatever is trained.
 *
 * @param group not owned
 */
record RunCourse(
    RunConfig config, Rank rank, RankGroup group, PrintStream out, Progress.Display display) {
  /** What a process computes with and talks through; not owned. */
  record Rank(Backend backend, Conversation conversation) {
    Peers peers() {
      return conversation.world() == 1 ? Peers.NONE : new ConversationPeers(conversation);
    }
  }

  /**
   * A model on its way.
   *
   * @param stage as it is typed
   * @param base every tensor of {@code source}, hashed at the start
   * @param trained names of what trains
   * @param own what trains, and what started fresh
   * @param beside what its checkpoints hold beside the rest
   */
  record Subject(
      String stage,
      WeightSource source,
      FrozenProof base,
      Set<String> trained,
      List<Parameter> own,
      List<CheckpointPart> beside) {
    static Subject of(
        String stage,
        WeightSource source,
        FrozenProof base,
        List<Parameter> trained,
        List<Parameter> own,
        @Nullable CheckpointPart beside) {
      return new Subject(
          stage,
          source,
          base,
          trained.stream().map(Parameter::name).collect(Collectors.toUnmodifiableSet()),
          List.copyOf(own),
          beside == null ? List.of() : List.of(beside));
    }

    FrozenProof frozen() {
      return base.only(name -> !trained.contains(name));
    }
  }

  /**
   * What the loop works with.
   *
   * @param evaluation batches of all ranks; empty where none are asked for
   */
  record Work<B>(Objective<B> objective, BatchSource<B> batches, List<B> evaluation) {}

  /**
   * A collective call, to the end or until all are asked to stop.
   *
   * @param finished called at the end on rank 0, while it holds every weight
   */
  <B> Trainer.Ending run(
      Subject subject,
      Work<B> work,
      RankOptimizer optimizer,
      TrainPlan plan,
      Consumer<FrozenTensors> finished) {
    Backend backend = rank.backend();
    Peers peers = rank.peers();
    FrozenProof proof = subject.frozen();
    var frozen = new FrozenTensors(proof, subject.source());
    var output = config.checkpoints().outputDir();
    var held = new ArrayList<CheckpointPart>();
    held.add(new TrainedWeights(backend, subject.own(), Fingerprint.of(subject.base())));
    held.add(new OptimizerFile(backend, optimizer.optimizer()));
    held.add(frozen);
    held.add(new ConfigFile(config));
    held.addAll(subject.beside());
    var store =
        new CheckpointStore(
            output, config.checkpoints().saveTotalLimit(), held, peers, optimizer.whole());
    var parts =
        new Trainer.Parts<B>(
            backend,
            work.objective(),
            work.batches(),
            work.evaluation(),
            optimizer.optimizer(),
            config.optimizer().schedule(plan.steps()),
            store,
            List.of(
                new MetricsLog(output, () -> backend.memory().peakBytes()),
                new Progress(out, display, plan.steps(), config.loggingSteps())),
            identity(subject, work.batches()),
            output,
            peers,
            group.stop(),
            peers.world() == 1 ? null : new CommunicationClock(rank.conversation()));
    var trainer = new Trainer<>(parts, plan);
    SameData.require(work.batches().content(), peers);
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
                  finished.accept(frozen);
                }
              });
    }
    return ending;
  }

  /** A group that was started again goes on where it can, whatever the first start was told. */
  private String resumeFrom() {
    return group.generation() > 0 ? "auto" : config.checkpoints().resumeFromCheckpoint();
  }

  private SequencedMap<String, String> identity(Subject subject, BatchSource<?> batches) {
    var identity = new LinkedHashMap<String, String>();
    identity.put("stage", subject.stage());
    identity.put("base", Fingerprint.of(subject.base()).hex());
    identity.putAll(config.identity(group.world()));
    identity.putAll(batches.content());
    return identity;
  }
}
