package io.moextend.eval;

import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Backend;
import io.moextend.checkpoint.TensorData;
import io.moextend.checkpoint.WeightSource;
import io.moextend.config.ConfigException;
import io.moextend.model.T5;
import io.moextend.model.T5Loss;
import io.moextend.model.T5Loss.Normalizer;
import io.moextend.model.Watch;
import io.moextend.nn.SitePass;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Given batches through a T5, with adapters or without, everything on the way written down under
 * the names of the reference files (golden/README.md).
 */
public final class T5Trace {
  private static final T5Loss MEAN = new T5Loss(Normalizer.REAL_TOKENS, 0, 0);

  private final Backend backend;
  private final T5 model;
  private final List<T5TraceBatch> batches;
  private final T5TraceRequest request;
  private final TraceOutput out;

  private T5Trace(Backend backend, T5 model, List<T5TraceBatch> batches, T5TraceRequest request) {
    this.backend = backend;
    this.model = model;
    this.batches = batches;
    this.request = request;
    this.out = new TraceOutput(backend);
  }

  /**
   * @param model what of it trains gets gradients and is updated
   * @param inputs the batches' file: plain., packed., score. and other prefixes, or none
   * @return the traced tensors, whose values are on the heap
   */
  public static List<TensorData> run(
      Backend backend, T5 model, WeightSource inputs, T5TraceRequest request) {
    var trace = new T5Trace(backend, model, T5TraceBatch.read(inputs, model.config()), request);
    trace.requireBatches(inputs.origin());
    for (T5TraceBatch batch : trace.batches) {
      if (batch.choices() > 0) {
        trace.scores(batch);
      } else {
        trace.forward(batch);
        if (request.basic().gradients()) {
          trace.training(batch).gradients(batch.prefix() + "grad.");
        }
      }
    }
    if (request.basic().adamSteps() > 0) {
      trace.training(trace.batches.getFirst()).steps(request.basic());
    }
    if (request.adafactorSteps() > 0) {
      new T5TraceSteps(backend, model, trace::loss, trace.out).run(trace.inTurn(), request);
    }
    return trace.out.tensors();
  }

  private void requireBatches(String origin) {
    boolean one = batches.size() == 1 && batches.getFirst().isHuggingFaces();
    if (request.basic().adamSteps() > 0 && !one) {
      throw new ConfigException(
          "--adamw-steps",
          request.basic().adamSteps(),
          "is for a file with one batch without a prefix; with " + origin + " --adafactor-steps");
    }
    if (request.adafactorSteps() > 0) {
      inTurn();
    }
  }

  /** Those that steps are made on, one after the other and again from the first. */
  private List<T5TraceBatch> inTurn() {
    if (batches.getFirst().isHuggingFaces()) {
      return List.of(batches.getFirst());
    }
    return List.of(named("plain."), named("packed."));
  }

  private T5TraceBatch named(String prefix) {
    return batches.stream()
        .filter(batch -> batch.prefix().equals(prefix) && batch.choices() == 0)
        .findFirst()
        .orElseThrow(
            () ->
                new ConfigException(
                    "--adafactor-steps",
                    request.adafactorSteps(),
                    "are made on the batches plain and packed in turn; there is no "
                        + prefix
                        + "input_ids in --inputs"));
  }

  private TracedTraining training(T5TraceBatch batch) {
    return new TracedTraining(backend, model, (tape, arena, step) -> loss(tape, arena, batch), out);
  }

  private static T5Loss loss(T5TraceBatch batch) {
    return batch.isHuggingFaces() ? MEAN : T5Loss.PUBLISHED;
  }

  private Tensor loss(Tape tape, Arena arena, T5TraceBatch batch) {
    var pass = new T5.Pass(request.basic().checkpointing(), null, Watch.NONE, SitePass.QUIET);
    Tensor decoder = model.forward(tape, batch.batch(), pass).decoder();
    return terms(tape, arena, batch, decoder, loss(batch)).total();
  }

  private T5Loss.Terms terms(
      Tape tape, Arena arena, T5TraceBatch batch, Tensor decoder, T5Loss loss) {
    T5Loss.Targets targets = targets(arena, batch, loss);
    return loss.of(tape, model, decoder, targets, targets.denominator());
  }

  private T5Loss.Targets targets(Arena arena, T5TraceBatch batch, T5Loss loss) {
    int pad = model.config().tokens().pad();
    return loss.targets(backend, arena, batch.batch(), pad, model.dtype().wide());
  }

  private void forward(T5TraceBatch batch) {
    try (Arena arena = backend.arena("trace")) {
      Tape tape = Tape.off(backend, arena);
      var seen = new T5TraceNames(model.config(), batch, out);
      var pass = new T5.Pass(false, null, seen::put, new SitePass(seen::put, (m, t) -> {}, null));
      Tensor decoder = model.forward(tape, batch.batch(), pass).decoder();
      seen.put("logits", model.logits(tape, decoder).data());
      T5Loss.Terms terms = terms(tape, arena, batch, decoder, loss(batch));
      if (batch.isHuggingFaces()) {
        long[] read = IntStream.of(batch.batch().decoderInputs()).asLongStream().toArray();
        out.put("decoder_input_ids", read, batch.batch().rows(), batch.batch().targetLength());
        out.put("loss", terms.total().data());
      } else {
        published(tape, arena, batch, decoder, terms);
      }
    }
  }

  private void published(
      Tape tape, Arena arena, T5TraceBatch batch, Tensor decoder, T5Loss.Terms terms) {
    String prefix = batch.prefix();
    Array total = terms.total().data();
    out.put(prefix + "loss", total, 1);
    out.put(prefix + "z_loss", terms.zLoss(), 1);
    float withoutZ = (float) (backend.toDouble(total) - backend.toDouble(terms.zLoss()));
    out.put(prefix + "loss_no_z", new float[] {withoutZ}, 1);
    var sum = new T5Loss(Normalizer.NONE, T5Loss.PUBLISHED.zLoss(), 0);
    out.put(prefix + "loss_sum", terms(tape, arena, batch, decoder, sum).total().data(), 1);
    T5Loss.Targets targets = targets(arena, batch, T5Loss.PUBLISHED);
    int length = batch.batch().targetLength();
    float[] weights = new float[batch.batch().targets().length];
    int[] rows = backend.toInts(targets.rows());
    float[] each = backend.toFloats(arena, targets.weights());
    for (int i = 0; i < targets.count(); i++) {
      weights[rows[i]] = each[i];
    }
    out.put(prefix + "loss_weights", weights, batch.batch().rows(), length);
    out.put(prefix + "loss_normalizer", new float[] {(float) targets.denominator()}, 1);
  }

  private void scores(T5TraceBatch batch) {
    try (Arena arena = backend.arena("trace")) {
      Tape tape = Tape.off(backend, arena);
      Tensor decoder = model.forward(tape, batch.batch(), T5.Pass.PLAIN).decoder();
      double[] scores = T5Loss.scores(tape, model, decoder, batch.batch());
      int choices = batch.choices();
      int examples = scores.length / choices;
      float[] all = new float[scores.length];
      int[] best = new int[examples];
      for (int i = 0; i < all.length; i++) {
        all[i] = (float) scores[i];
        int example = i / choices;
        if (all[i] > all[example * choices + best[example]]) {
          best[example] = i % choices;
        }
      }
      out.put(batch.prefix() + "scores", all, examples, choices);
      out.put(batch.prefix() + "predictions", best, examples);
    }
  }
}
