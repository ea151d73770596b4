package io.moextend.model;

import io.moextend.Golden;
import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.autograd.Tape;
import io.moextend.autograd.Tensor;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider.Options;
import io.moextend.backend.Backends;
import io.moextend.config.DecoderConfig;
import io.moextend.config.FeedForwardConfig;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.config.Scheme;
import java.lang.foreign.MemorySegment;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/** A small Llama with mixed layers and random weights, all of them trained, and a batch for it. */
final class MixedModel implements AutoCloseable {
  static final int ROWS = 3;
  static final int LENGTH = 11;
  static final int TOKENS = ROWS * LENGTH;
  private static final int VOCAB = 100;
  private static final int WIDTH = 24;

  final Backend backend;
  final Decoder decoder;
  private final Arena weights;

  @SuppressWarnings("MustBeClosedChecker") // closed by close()
  MixedModel(String backendName, Scheme scheme, long seed) {
    DecoderConfig llama = HuggingFaceConfig.read(Golden.path("hf/hf_llama")).decoder();
    var layers = new TreeSet<>(List.of(1));
    DecoderConfig config = llama.with(new FeedForwardConfig.Mixed(WIDTH, layers, scheme));
    this.backend = Backends.open(backendName, new Options(2, 0));
    this.weights = backend.arena("weights");
    this.decoder =
        new Decoder(
            new FreshParameters(backend, weights, DType.F32, EnumSet.allOf(Role.class), 0.2, seed),
            config);
  }

  Parameter parameter(String name) {
    return decoder.parameters().stream()
        .filter(p -> p.name().equals(name))
        .findFirst()
        .orElseThrow();
  }

  float[] values(String name) {
    return backend.toFloats(weights, parameter(name).data());
  }

  void set(String name, float[] values) {
    backend.copyIn(parameter(name).data(), MemorySegment.ofArray(values));
    parameter(name).updated();
  }

  /** Ids of a batch; the same for the same seed. */
  static int[] ids(long seed) {
    return new Random(seed).ints(TOKENS, 3, VOCAB).toArray();
  }

  /** An image of four patches at the start of the first row, two short ones in the second. */
  static byte[] types() {
    byte[] types = new byte[TOKENS];
    for (int at : new int[] {1, 2, 3, 4, LENGTH, LENGTH + 1, LENGTH + 8, LENGTH + 9}) {
      types[at] = 1;
    }
    return types;
  }

  /** The last row is padding but for its first two tokens. */
  static byte[] mask() {
    byte[] mask = new byte[TOKENS];
    java.util.Arrays.fill(mask, (byte) 1);
    java.util.Arrays.fill(mask, 2 * LENGTH + 2, TOKENS, (byte) 0);
    return mask;
  }

  static int[] labels(int[] ids) {
    int[] labels = ids.clone();
    for (int t = 0; t < TOKENS; t++) {
      labels[t] = types()[t] == 1 || mask()[t] == 0 ? -100 : labels[t];
    }
    return labels;
  }

  ModelInput input(Arena arena, int[] ids, byte[] types, List<Array> forced, @Nullable Long noise) {
    return new ModelInput(
        ROWS,
        LENGTH,
        backend.ints(arena, ids, TOKENS),
        backend.bytes(arena, mask(), ROWS, LENGTH),
        null,
        forced,
        backend.bytes(arena, types, TOKENS),
        noise);
  }

  /** What a pass over the batch says. */
  record Pass(
      float[] hidden,
      double loss,
      Map<String, Double> balances,
      List<int[]> chosen,
      Map<String, float[]> gradients) {}

  /** What a pass is asked. */
  record Asked(byte[] types, List<int[]> forced, @Nullable Long noise, boolean checkpointing) {
    static final Asked PLAIN = new Asked(MixedModel.types(), List.of(), null, false);
  }

  Pass run(int[] ids, Asked asked) {
    var gradients = new TreeMap<String, float[]>();
    try (Arena arena = backend.arena("step")) {
      Tape tape =
          Tape.recording(
              backend, arena, (p, d) -> gradients.put(p.name(), backend.toFloats(arena, d)));
      List<Array> forced =
          asked.forced().stream()
              .map(c -> backend.ints(arena, c, TOKENS, c.length / TOKENS))
              .toList();
      ModelInput input = input(arena, ids, asked.types(), forced, asked.noise());
      Decoder.Output output = decoder.forward(tape, input, asked.checkpointing(), Watch.NONE);
      CausalLoss.Terms terms = terms(tape, output, ids, arena);
      var balances = new TreeMap<String, Double>();
      terms.balances().forEach((g, t) -> balances.put(g.loss(), backend.toDouble(t.data())));
      var pass =
          new Pass(
              backend.toFloats(arena, output.hidden().data()),
              backend.toDouble(terms.total().data()),
              balances,
              output.routings().stream().map(r -> backend.toInts(r.chosen())).toList(),
              gradients);
      tape.backward(terms.total(), backend.floats(arena, DType.F32, new float[] {1}, 1));
      return pass;
    }
  }

  private CausalLoss.Terms terms(Tape tape, Decoder.Output output, int[] ids, Arena arena) {
    var labels = CausalLoss.Labels.of(backend, arena, labels(ids), LENGTH);
    return CausalLoss.published(decoder.config())
        .of(tape, decoder, output, labels, backend.bytes(arena, mask(), TOKENS));
  }

  /** The last hidden state of some rows alone. */
  float[] rows(int[] ids, int[] rows) {
    try (Arena arena = backend.arena("rows")) {
      Tape tape = Tape.off(backend, arena);
      Array asked = backend.ints(arena, rows, rows.length);
      ModelInput input = input(arena, ids, types(), List.of(), null);
      Tensor hidden = decoder.forward(tape, input, asked, false, Watch.NONE).hidden();
      return backend.toFloats(arena, hidden.data());
    }
  }

  @Override
  public void close() {
    decoder.close();
    weights.close();
    backend.close();
  }
}
