package io.moextend.train;

import io.moextend.config.ConfigException;
import io.moextend.optim.Schedule;
import io.moextend.shard.Optimizer;
import io.moextend.train.DivergedException.Evidence;
import io.moextend.train.DivergedException.MicroBatch;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SequencedMap;
import java.util.function.Consumer;

/**
 * The loop: micro-batches, update, report; now and then evaluation and checkpoint. Everything it
 * works with is made elsewhere.
 *
 * @param <B> a micro-batch
 */
public final class Trainer<B> {
  /**
   * What the loop works with. Not owned: who made them closes them.
   *
   * @param evaluation batches to evaluate on, the same each time; empty where none are asked for
   * @param identity settings that a resumed run must share, by field path
   * @param output the run's folder
   */
  public record Parts<B>(
      Objective<B> objective,
      BatchSource<B> batches,
      Iterable<B> evaluation,
      Optimizer optimizer,
      Schedule schedule,
      CheckpointStore checkpoints,
      List<TrainingListener> listeners,
      SequencedMap<String, String> identity,
      Path output,
      Peers peers) {}

  private final Parts<B> parts;
  private final TrainPlan plan;
  private int done;
  private long samplesSeen;

  public Trainer(Parts<B> parts, TrainPlan plan) {
    this.parts = parts;
    this.plan = plan;
    if (plan.evalSteps() > 0 && !parts.evaluation.iterator().hasNext()) {
      throw new ConfigException(
          "evaluation.eval_steps", plan.evalSteps(), "there is nothing to evaluate on");
    }
  }

  /** Steps done, those of the checkpoint it went on from counted. */
  public int done() {
    return done;
  }

  /**
   * Goes on from a checkpoint, to the bit as if the run had never stopped.
   *
   * @throws ConfigException where a setting that matters is not as it was
   */
  public void resume(Path checkpoint) {
    RunState state = parts.checkpoints.load(checkpoint, parts.identity);
    parts.batches.seek(state.position());
    done = state.step();
    samplesSeen = state.samplesSeen();
  }

  /**
   * Runs what is left of the plan.
   *
   * @throws DivergedException where a loss or gradient is no number
   */
  public void run() {
    tell(l -> l.started(done));
    try {
      while (done < plan.steps()) {
        StepReport report = step(done + 1);
        done = report.step();
        tell(l -> l.stepped(report));
        if (plan.evaluatesAfter(done)) {
          Losses losses = evaluate();
          tell(l -> l.evaluated(done, losses));
        }
        if (plan.savesAfter(done)) {
          Path saved = save();
          tell(l -> l.saved(done, saved));
        }
      }
    } finally {
      tell(TrainingListener::ended);
    }
  }

  private StepReport step(int step) {
    long start = System.nanoTime();
    var micro = new ArrayList<MicroBatch>();
    for (int i = 0; i < plan.microBatches(); i++) {
      B batch = parts.batches.next();
      Losses losses =
          parts.objective.backpropagate(
              parts.optimizer.gradients(i == plan.microBatches() - 1),
              batch,
              1.0 / plan.microBatches());
      micro.add(new MicroBatch(parts.batches.samples(batch), losses));
    }
    Losses losses = Losses.mean(micro.stream().map(MicroBatch::losses).toList()).over(parts.peers);
    double rate = parts.schedule.at(step);
    if (!losses.finite()) {
      parts.optimizer.discard();
      throw diverged("the loss is " + losses.loss(), step, rate, Double.NaN, micro);
    }
    Optimizer.Update update = parts.optimizer.step(rate, plan.maxGradNorm());
    double norm = update.gradientNorm();
    if (!update.applied()) {
      throw diverged("the gradient's norm is " + norm, step, rate, norm, micro);
    }
    samplesSeen += losses.samples();
    int untrained = (int) micro.stream().filter(m -> !m.losses().trained()).count();
    double seconds = (System.nanoTime() - start) / 1e9;
    return new StepReport(step, losses, norm, rate, seconds, samplesSeen, untrained);
  }

  private DivergedException diverged(
      String what, int step, double rate, double norm, List<MicroBatch> micro) {
    var evidence = new Evidence(step, parts.peers.rank(), rate, norm, micro);
    return new DivergedException(what, evidence, evidence.write(parts.output));
  }

  /** Mean over samples, not over batches, as Hugging Face's evaluation loop has it. */
  private Losses evaluate() {
    double[] sums = new double[5];
    for (B batch : parts.evaluation) {
      Losses losses = parts.objective.evaluate(batch);
      sums[0] += losses.loss() * losses.samples();
      sums[1] += losses.lmLoss() * losses.samples();
      sums[2] += losses.auxLoss() * losses.samples();
      sums[3] += losses.tokens();
      sums[4] += losses.samples();
    }
    double[] mean = parts.peers.mean(sums);
    int world = parts.peers.world();
    return new Losses(
        mean[0] / mean[4],
        mean[1] / mean[4],
        mean[2] / mean[4],
        Math.round(mean[3] * world),
        Math.round(mean[4] * world),
        false);
  }

  private Path save() {
    return parts.checkpoints.save(
        RunState.of(done, samplesSeen, parts.batches.position(), parts.identity));
  }

  private void tell(Consumer<TrainingListener> what) {
    if (parts.peers.rank() == 0) {
      parts.listeners.forEach(what);
    }
  }
}
