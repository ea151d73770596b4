package io.moextend.train;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider;
import io.moextend.backend.Backends;
import io.moextend.checkpoint.Fingerprint;
import io.moextend.optim.AdamW;
import io.moextend.optim.Schedule;
import io.moextend.shard.ParameterLayout;
import io.moextend.shard.ReplicatedOptimizer;
import io.moextend.shard.ReplicatedOptimizer.Untouched;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.function.UnaryOperator;

/** Everything of a run, made as a command makes it, around a {@link TinyTask}. */
final class TinyRun implements AutoCloseable {
  private static final Fingerprint BASE = new Fingerprint("ab".repeat(32));

  final Backend backend;
  final TinyTask task;
  final ReplicatedOptimizer optimizer;
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
      Peers peers) {
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
          Peers.NONE);
    }

    Settings around(UnaryOperator<Objective<TinyTask.Rows>> wrapped) {
      return new Settings(
          output, plan, limit, batch, seed, batches, wrapped, evaluation, listeners, peers);
    }

    Settings limit(int kept) {
      return new Settings(
          output, plan, kept, batch, seed, batches, around, evaluation, listeners, peers);
    }

    Settings seed(String other) {
      return new Settings(
          output, plan, limit, batch, other, batches, around, evaluation, listeners, peers);
    }

    Settings batches(BatchSource<TinyTask.Rows> other) {
      return new Settings(
          output, plan, limit, batch, seed, other, around, evaluation, listeners, peers);
    }

    Settings peers(Peers others) {
      return new Settings(
          output, plan, limit, batch, seed, batches, around, evaluation, listeners, others);
    }

    Settings evaluating(int every, List<TinyTask.Rows> on, TrainingListener listener) {
      var evaluating = new TrainPlan(plan.steps(), plan.microBatches(), 1, every, plan.saveSteps());
      return new Settings(
          output, evaluating, limit, batch, seed, batches, around, on, List.of(listener), peers);
    }
  }

  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // closed by close()
  TinyRun(Settings settings) {
    backend = Backends.open("nd4j", new BackendProvider.Options(1, 0));
    task = new TinyTask(backend, 5);
    optimizer =
        new ReplicatedOptimizer(
            backend,
            ParameterLayout.of(task.parameters(), 1),
            AdamW.PUBLISHED,
            Untouched.ZERO_GRADIENT);
    store =
        new CheckpointStore(
            settings.output(),
            settings.limit(),
            List.of(
                new OptimizerFile(backend, optimizer),
                new TrainedWeights(backend, task.parameters(), BASE)),
            settings.peers());
    var identity = new LinkedHashMap<String, String>();
    identity.put("training.per_device_train_batch_size", "" + settings.batch());
    identity.put("training.seed", settings.seed());
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
                () -> false,
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
