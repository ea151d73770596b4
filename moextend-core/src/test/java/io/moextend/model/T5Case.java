package io.moextend.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.offset;

import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.Golden;
import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider.Options;
import io.moextend.backend.Backends;
import io.moextend.backend.cuda.EmulatedCuda;
import io.moextend.checkpoint.SafetensorsFile;
import io.moextend.checkpoint.WeightSource;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.nn.SitePass;
import io.moextend.nn.Sites;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.BiFunction;
import java.util.function.IntPredicate;

/** A reference case of a T5: its model, its batches, and what the original made of them. */
public final class T5Case implements AutoCloseable {
  /** Names the cards' backend in the emulator, which a test is skipped without. */
  public static final String EMULATED = "emulated";

  public final Backend backend;
  public final Arena arena;
  public final WeightSource inputs;
  public final WeightSource expected;
  public final T5 model;
  private final OpenT5 opened;

  /**
   * @param folder below golden/
   */
  @MustBeClosed
  public T5Case(String backend, String folder) {
    this(backend, folder, DType.F32, ParameterChoice.ALL, (b, a) -> Sites.NONE);
  }

  /**
   * @param trained of the model; adapters are the sites' own
   * @param sites made of the backend and an arena that lives as long as the case
   */
  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // closed by close()
  public T5Case(
      String backend,
      String folder,
      DType dtype,
      ParameterChoice trained,
      BiFunction<Backend, Arena, Sites> sites) {
    Path at = Golden.path(folder);
    this.backend = open(backend);
    this.arena = this.backend.arena("case");
    this.inputs = SafetensorsFile.open(at.resolve("inputs.safetensors"));
    this.expected = SafetensorsFile.open(at.resolve("expected.safetensors"));
    this.opened =
        OpenT5.of(
            SafetensorsFile.open(at.resolve("model.safetensors")),
            HuggingFaceConfig.read(at).t5(),
            this.backend,
            dtype,
            trained,
            sites.apply(this.backend, arena));
    this.model = opened.model();
  }

  @MustBeClosed
  @SuppressWarnings("MustBeClosedChecker") // handed to the caller, who closes it
  private static Backend open(String name) {
    var options = new Options(2, 0);
    return name.equals(EMULATED) ? new EmulatedCuda().open(options) : Backends.open(name, options);
  }

  /**
   * @param name "plain", "packed", "long" or "score"
   */
  public T5Batch batch(String name) {
    int rows = (int) inputs.tensor(name + ".input_ids").shape()[0];
    boolean packed = inputs.names().contains(name + ".encoder_segment_ids");
    T5Batch batch =
        packed
            ? T5Batch.packed(
                rows,
                ints(name + ".input_ids"),
                ints(name + ".labels"),
                ints(name + ".encoder_segment_ids"),
                ints(name + ".decoder_segment_ids"),
                model.config().tokens().start())
            : T5Batch.plain(
                rows,
                ints(name + ".input_ids"),
                ints(name + ".labels"),
                model.config().tokens().start());
    assertThat(batch.decoderInputs()).isEqualTo(ints(name + ".decoder_input_ids"));
    return batch;
  }

  public int[] ints(String name) {
    return Arrays.stream(inputs.tensor(name).longs()).mapToInt(Math::toIntExact).toArray();
  }

  /** A pass whose arrays are kept: names to values. */
  public record Seen(Map<String, float[]> arrays) {
    public T5.Pass pass(T5Case c, boolean checkpointing) {
      Watch watch = (name, array) -> arrays.put(name, c.backend.toFloats(c.arena, array));
      return new T5.Pass(
          checkpointing,
          null,
          watch,
          new SitePass(watch::see, (module, probabilities) -> {}, null));
    }
  }

  public static Seen seen() {
    return new Seen(new TreeMap<>());
  }

  /**
   * An answer's logits through a cache, four tokens at once, three, then one at a time, against
   * those of a pass over all of it.
   *
   * @param answer as the decoder reads it, the start first
   */
  public void compareTokenByToken(int[] inputs, int[] answer) {
    try (Arena whole = backend.arena("whole");
        T5Cache cache = model.read(backend, inputs, answer.length)) {
      var batch = new T5Batch(1, inputs, answer, answer, null, null, true);
      Tape tape = Tape.off(backend, whole);
      Tensor decoder = model.forward(tape, batch, T5.Pass.PLAIN).decoder();
      float[] want = backend.toFloats(whole, model.logits(tape, decoder).data());
      int vocab = model.config().vocab();
      assertThat(want).hasSize(answer.length * vocab);
      for (int from = 0, more = 4; from < answer.length; from += more, more = from == 4 ? 3 : 1) {
        float[] have = extended(Arrays.copyOfRange(answer, from, from + more), cache);
        float[] right = Arrays.copyOfRange(want, from * vocab, (from + more) * vocab);
        assertThat(have).as("logits from token " + from).containsExactly(right, offset(2e-5f));
      }
      assertThat(cache.length()).isEqualTo(answer.length);
    }
  }

  /** The logits of tokens behind those in a cache. */
  float[] extended(int[] ids, T5Cache cache) {
    try (Arena pass = backend.arena("extended")) {
      Tape tape = Tape.off(backend, pass);
      return backend.toFloats(pass, model.logits(tape, model.extend(tape, ids, cache)).data());
    }
  }

  /** One step's loss and the gradients of all that trains, in the names of the file. */
  public record Step(double loss, double zLoss, Map<String, float[]> gradients) {}

  public Step step(T5Batch batch, T5Loss loss, boolean checkpointing) {
    var gradients = new TreeMap<String, float[]>();
    Tape tape =
        Tape.recording(
            backend,
            arena,
            (parameter, gradient) ->
                gradients.merge(parameter.name(), backend.toFloats(arena, gradient), T5Case::sum));
    var targets =
        loss.targets(backend, arena, batch, model.config().tokens().pad(), model.dtype().wide());
    T5.Pass plain = T5.Pass.PLAIN;
    var pass = new T5.Pass(checkpointing, null, plain.watch(), plain.sites());
    Tensor decoder = model.forward(tape, batch, pass).decoder();
    T5Loss.Terms terms = loss.of(tape, model, decoder, targets, targets.denominator());
    Array one = arena.allocate(terms.total().data().dtype(), 1);
    backend.fillInto(one, 1);
    double total = backend.toDouble(terms.total().data());
    double zLoss = backend.toDouble(terms.zLoss());
    tape.backward(terms.total(), one);
    return new Step(total, zLoss, gradients);
  }

  private static float[] sum(float[] a, float[] b) {
    float[] sum = a.clone();
    for (int i = 0; i < a.length; i++) {
      sum[i] += b[i];
    }
    return sum;
  }

  /** Rows of one example of these ids that are no padding. */
  public static IntPredicate real(int[] ids) {
    return row -> ids[row] != 0;
  }

  /** Compares rows, the last axis', with those of a reference tensor: 2e-5 + 1e-5 |want|. */
  public void compare(String name, float[] have, IntPredicate rows) {
    compare(name, have, rows, 2e-5, 1e-5);
  }

  public void compare(
      String name, float[] have, IntPredicate rows, double absolute, double relative) {
    float[] want = expected.tensor(name).floats();
    long[] shape = expected.tensor(name).shape();
    int width = shape.length == 0 ? 1 : (int) shape[shape.length - 1];
    assertThat(have).as(name).hasSameSizeAs(want);
    for (int i = 0; i < want.length; i++) {
      double off = Math.abs((double) have[i] - want[i]);
      if (rows.test(i / width) && !(off <= absolute + relative * Math.abs(want[i]))) {
        throw new AssertionError(
            "%s[%d, %d] is %s, wanted %s".formatted(name, i / width, i % width, have[i], want[i]));
      }
    }
  }

  /** Compares a gradient: 1e-4 of its largest entry. */
  public void compareGradient(String name, float[] have) {
    double largest = 0;
    for (float want : expected.tensor(name).floats()) {
      largest = Math.max(largest, Math.abs(want));
    }
    compare(name, have, row -> true, 1e-4 * largest, 0);
  }

  public double scalar(String name) {
    return expected.tensor(name).floats()[0];
  }

  @Override
  public void close() {
    opened.close();
    expected.close();
    inputs.close();
    arena.close();
    backend.close();
  }
}
