package io.moextend.train;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider;
import io.moextend.backend.Backends;
import io.moextend.checkpoint.Fingerprint;
import io.moextend.optim.AdamW;
import io.moextend.optim.Schedule;
import io.moextend.shard.Optimizer;
import io.moextend.shard.ParameterLayout;
import io.moextend.shard.ReplicatedOptimizer;
import io.moextend.shard.ReplicatedOptimizer.Untouched;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.function.BooleanSupplier;
import java.util.function.UnaryOperator;

/** Everything of a run, made as a command makes it, around a {@link TinyTask}. */
final class TinyRun implements AutoCloseable {
  private static final Fingerprint BASE = new Fingerprint("ab".repeat(32));

  final Backend backend;
  final TinyTask task;
  final Optimizer optimizer;
  final CheckpointStore store;
  final Trainer<TinyTask.Rows> trainer;

  /** What differs between two tests. */
  record Settings(
      Path output,
      TrainPlan plan,
      Integer limit,
      int batch,
      String seed,
      BatchSource<TinyTask.Rows> batches,
      UnaryOperator<Objective<TinyTask.Rows>> around,
      List<TinyTask.Rows> evaluation,
      List<TrainingListener> listeners,
      Peers peers,
      BooleanSupplier stop,
      List<CheckpointPart> more) {
    static Settings of(Path output, int steps, int microBatches, int batch, int saveSteps) {
      return new Settings(
          output,
          new TrainPlan(steps, microBatches, 1, 0, saveSteps),
          100,
          batch,
          "7",
          new TinyBatches(24, batch, 3),
          objective -> objective,
          List.of(),
          List.of(new MetricsLog(output, () -> 0)),
          Peers.NONE,
          () -> false,
          List.of());
    }

    Settings around(UnaryOperator<Objective<TinyTask.Rows>> it) {
      return new Settings(
          output, plan, limit, batch, seed, batches, it, evaluation, listeners, peers, stop, more);
    }

    Settings limit(int it) {
      return new Settings(
          output, plan, it, batch, seed, batches, around, evaluation, listeners, peers, stop, more);
    }

    Settings seed(String it) {
      return new Settings(
          output,
          plan,
          limit,
          batch,
          it,
          batches,
          around,
          evaluation,
          listeners,
          peers,
          stop,
          more);
    }

    Settings batches(BatchSource<TinyTask.Rows> it) {
      return new Settings(
          output, plan, limit, batch, seed, it, around, evaluation, listeners, peers, stop, more);
    }

    Settings peers(Peers it) {
      return new Settings(
          output, plan, limit, batch, seed, batches, around, evaluation, listeners, it, stop, more);
    }

    Settings stop(BooleanSupplier it) {
      return new Settings(
          output,
          plan,
          limit,
          batch,
          seed,
          batches,
          around,
          evaluation,
          listeners,
          peers,
          it,
          more);
    }

    Settings part(CheckpointPart it) {
      return new Settings(
          output,
          plan,
          limit,
          batch,
          seed,
          batches,
          around,
          evaluation,
          listeners,
          peers,
          stop,
          List.of(it));
    }

    Settings evaluating(int every, List<TinyTask.Rows> on, TrainingListener listener) {
      var evaluating = new TrainPlan(plan.steps(), plan.microBatches(), 1, every, plan.saveSteps());
      return new Settings(
          output,
          evaluating,
          limit,
          batch,
          seed,
          batches,
          around,
          on,
          List.of(listener),
          peers,
          stop,
          more);
    }

    long globalBatch() {
      return (long) batch * plan.microBatches() * peers.world();
    }
  }

  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // closed by close()
  TinyRun(Settings settings) {
    backend = Backends.open("nd4j", new BackendProvider.Options(1, 0));
    task = new TinyTask(backend, 5);
    Optimizer one =
        new ReplicatedOptimizer(
            backend,
            ParameterLayout.of(task.parameters(), 1),
            AdamW.PUBLISHED,
            Untouched.ZERO_GRADIENT);
    Peers peers = settings.peers();
    optimizer =
        peers.world() == 1 ? one : new SummedOptimizer(backend, one, task.parameters(), peers);
    var checkpointed = new ArrayList<CheckpointPart>();
    checkpointed.add(new OptimizerFile(backend, optimizer));
    checkpointed.add(new TrainedWeights(backend, task.parameters(), BASE));
    checkpointed.addAll(settings.more());
    store =
        new CheckpointStore(settings.output(), settings.limit(), checkpointed, settings.peers());
    var identity = new LinkedHashMap<String, String>();
    identity.put("training.per_device_train_batch_size", "" + settings.batch());
    identity.put("training.seed", settings.seed());
    identity.put(TrainConfig.GLOBAL_BATCH, "" + settings.globalBatch());
    trainer =
        new Trainer<>(
            new Trainer.Parts<>(
                backend,
                settings.around().apply(task),
                settings.batches(),
                settings.evaluation(),
                optimizer,
                new Schedule.Cosine(1e-2, 1, 10),
                store,
                settings.listeners(),
                identity,
                settings.output(),
                settings.peers(),
                settings.stop(),
                null),
            settings.plan());
  }

  /** Goes on from the newest checkpoint, as {@code resume_from_checkpoint: auto}. */
  TinyRun resumed() {
    store.sweep();
    store.find("auto").ifPresent(trainer::resume);
    return this;
  }

  @Override
  public void close() {
    optimizer.close();
    task.close();
    backend.close();
  }
}
