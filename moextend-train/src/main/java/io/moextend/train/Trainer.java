package io.moextend.train;

import io.moextend.backend.Backend;
import io.moextend.config.ConfigException;
import io.moextend.optim.Schedule;
import io.moextend.shard.Optimizer;
import io.moextend.train.DivergedException.Evidence;
import io.moextend.train.DivergedException.MicroBatch;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SequencedMap;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * The loop: micro-batches, update, report; now and then evaluation and checkpoint. Everything it
 * works with is made elsewhere. Every rank runs one, and all come to the same decisions.
 *
 * @param <B> a micro-batch
 */
public final class Trainer<B> {
  /**
   * What the loop works with. Not owned: who made them closes them.
   *
   * @param backend whose memory is reported, and where a gradient is looked at that is no number
   * @param batches this rank's
   * @param evaluation batches of all ranks to evaluate on, the same each time; each is asked for by
   *     the rank whose turn it is. Empty where none are asked for
   * @param optimizer adds gradients up over micro-batches and ranks
   * @param identity settings that a resumed run must share, by field path
   * @param output the run's folder
   * @param stopRequested asked once a step: true makes all ranks stop at that step's end
   * @param communication what this rank's exchanges took since the start; null where nobody
   *     measures
   */
  public record Parts<B>(
      Backend backend,
      Objective<B> objective,
      BatchSource<B> batches,
      List<B> evaluation,
      Optimizer optimizer,
      Schedule schedule,
      CheckpointStore checkpoints,
      List<TrainingListener> listeners,
      SequencedMap<String, String> identity,
      Path output,
      Peers peers,
      BooleanSupplier stopRequested,
      @Nullable Supplier<CommunicationTime> communication) {}

  /** How a run came to its end. */
  public enum Ending {
    DONE,
    /** On request, after a checkpoint; not all steps are done. */
    STOPPED
  }

  private final Parts<B> parts;
  private final TrainPlan plan;
  private int done;
  private long samplesSeen;
  private boolean stopping;

  public Trainer(Parts<B> parts, TrainPlan plan) {
    this.parts = parts;
    this.plan = plan;
    if (plan.evalSteps() > 0 && parts.evaluation.isEmpty()) {
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
   * Runs what is left of the plan, or until one rank is asked to stop.
   *
   * @throws DivergedException on every rank, where a loss or gradient of one is no number
   */
  public Ending run() {
    tell(l -> l.started(done));
    try {
      while (done < plan.steps() && !stopping) {
        StepReport report = step(done + 1);
        done = report.step();
        tell(l -> l.stepped(report));
        // who is asked to stop has seconds: what comes first then is the checkpoint
        if (plan.evaluatesAfter(done) && !stopping) {
          Losses losses = new Evaluation<>(parts.objective, parts.evaluation, parts.peers).run();
          tell(l -> l.evaluated(done, losses));
        }
        if (plan.savesAfter(done) || stopping) {
          Path saved = save();
          tell(l -> l.saved(done, saved));
        }
      }
    } finally {
      tell(TrainingListener::ended);
    }
    return done < plan.steps() ? Ending.STOPPED : Ending.DONE;
  }

  private StepReport step(int step) {
    long start = System.nanoTime();
    CommunicationTime before = communication();
    BatchSource.Position from = parts.batches.position();
    List<MicroBatch> micro = backpropagate();
    List<RankFigures> ranks = exchange(step, micro);
    Losses losses = over(ranks);
    stopping = ranks.stream().anyMatch(RankFigures::stop);
    double rate = parts.schedule.at(step);
    List<Integer> wrong = RankFigures.withoutFiniteLoss(ranks);
    if (!wrong.isEmpty()) {
      parts.optimizer.discard();
      double first = ranks.get(wrong.getFirst()).losses().loss();
      String what = "the loss%s is %s".formatted(of(wrong), first);
      throw diverged(what, step, wrong, rate, Double.NaN, micro, List.of());
    }
    Optimizer.Update update = parts.optimizer.step(rate, plan.maxGradNorm());
    double norm = update.gradientNorm();
    if (!update.applied()) {
      throw divergedBackwards(step, from, rate, norm, micro);
    }
    samplesSeen += losses.samples();
    return new StepReport(
        step,
        losses,
        norm,
        rate,
        (System.nanoTime() - start) / 1e9,
        samplesSeen,
        (int) micro.stream().filter(m -> !m.losses().trained()).count(),
        ranks.stream().map(RankFigures::peakBytes).toList(),
        since(before));
  }

  private List<MicroBatch> backpropagate() {
    var micro = new ArrayList<MicroBatch>();
    for (int i = 0; i < plan.microBatches(); i++) {
      B batch = parts.batches.next();
      Losses losses =
          parts.objective.backpropagate(
              parts.optimizer.gradients(i == plan.microBatches() - 1), batch, scale());
      micro.add(new MicroBatch(parts.batches.samples(batch), losses));
    }
    return micro;
  }

  /** Gradients are added up over micro-batches and ranks; so the sum is their mean. */
  private double scale() {
    return 1.0 / ((long) plan.microBatches() * parts.peers.world());
  }

  private List<RankFigures> exchange(int step, List<MicroBatch> micro) {
    Losses own = Losses.mean(micro.stream().map(MicroBatch::losses).toList());
    boolean stop = parts.stopRequested.getAsBoolean();
    long peak = parts.backend.memory().peakBytes();
    return RankFigures.gather(parts.peers, step, new RankFigures(own, stop, peak));
  }

  /** Every rank has as many micro-batches, so their mean is that of the ranks' means. */
  private static Losses over(List<RankFigures> ranks) {
    return Losses.mean(ranks.stream().map(RankFigures::losses).toList());
  }

  private DivergedException divergedBackwards(
      int step, BatchSource.Position from, double rate, double norm, List<MicroBatch> micro) {
    List<String> wrong =
        new GradientSearch<>(parts.backend, parts.objective, parts.batches)
            .wrong(from, plan.microBatches(), scale());
    double[][] counts = parts.peers.gather("wrong gradients of step " + step, wrong.size());
    List<Integer> ranks =
        IntStream.range(0, counts.length).filter(r -> counts[r][0] > 0).boxed().toList();
    String what =
        ranks.isEmpty()
            ? "the gradient's norm is %s, though no gradient of one micro-batch is".formatted(norm)
            : "the gradient%s has the norm %s".formatted(of(ranks), norm);
    return diverged(what, step, ranks, rate, norm, micro, wrong);
  }

  /** Nothing where there is one rank alone. */
  private String of(List<Integer> ranks) {
    if (parts.peers.world() == 1) {
      return "";
    }
    String numbers = String.join(", ", ranks.stream().map(String::valueOf).toList());
    return (ranks.size() == 1 ? " of rank " : " of ranks ") + numbers;
  }

  private DivergedException diverged(
      String what,
      int step,
      List<Integer> ranks,
      double rate,
      double norm,
      List<MicroBatch> micro,
      List<String> gradients) {
    int own = parts.peers.rank();
    var evidence = new Evidence(step, own, ranks, rate, norm, micro, gradients);
    return new DivergedException(what, evidence, evidence.write(parts.output));
  }

  private @Nullable CommunicationTime communication() {
    return parts.communication == null ? null : parts.communication.get();
  }

  private @Nullable CommunicationTime since(@Nullable CommunicationTime before) {
    CommunicationTime now = communication();
    return before == null || now == null ? null : now.since(before);
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
