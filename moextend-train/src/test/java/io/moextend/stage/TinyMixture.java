package io.moextend.stage;

import io.moextend.Golden;
import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Parameter;
import io.moextend.autograd.Parameter.Role;
import io.moextend.autograd.Tape;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider;
import io.moextend.backend.Backends;
import io.moextend.config.DecoderConfig;
import io.moextend.config.FeedForwardConfig;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.config.VisionConfig;
import io.moextend.data.Batch;
import io.moextend.model.Decoder;
import io.moextend.model.FreshParameters;
import io.moextend.model.ModelInput;
import io.moextend.model.Watch;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Random;
import java.util.function.BiFunction;

/** A small Llama with experts, a SigLIP tower and random weights, and batches for it. */
final class TinyMixture implements AutoCloseable {
  static final int LENGTH = 40;
  static final int PATCHES = 16;
  static final int VOCAB = 100;
  private static final int PIXELS = 28;

  final Backend backend;
  final Decoder decoder;
  private final Arena weights;

  @SuppressWarnings("MustBeClosedChecker") // closed by close()
  TinyMixture(String backendName, FeedForwardConfig feedForward, long seed) {
    this.backend = Backends.open(backendName, new BackendProvider.Options(2, 0));
    this.weights = backend.arena("weights");
    this.decoder =
        new Decoder(
            new FreshParameters(backend, weights, DType.F32, EnumSet.allOf(Role.class), 0.2, seed),
            config(feedForward));
  }

  static DecoderConfig config(FeedForwardConfig feedForward) {
    DecoderConfig llama = HuggingFaceConfig.read(Golden.path("hf/hf_llama")).decoder();
    var tower = HuggingFaceConfig.read(Golden.path("moiie/siglip_tiny")).tower();
    return llama
        .with(new VisionConfig(tower, "mlp2x_gelu", -2, VisionConfig.PLACEHOLDER), llama.vocab())
        .with(feedForward);
  }

  int hidden() {
    return decoder.config().hidden();
  }

  Parameter parameter(String name) {
    return decoder.parameters().stream()
        .filter(p -> p.name().equals(name))
        .findFirst()
        .orElseThrow(() -> new AssertionError("no " + name));
  }

  void set(String name, float[] values) {
    backend.copyIn(parameter(name).data(), MemorySegment.ofArray(values));
    parameter(name).updated();
  }

  /** The same value everywhere. */
  void fill(String name, float value) {
    float[] values = new float[(int) parameter(name).size()];
    Arrays.fill(values, value);
    set(name, values);
  }

  /**
   * Three rows: one image and words, two images side by side and words, words and padding.
   *
   * @param pictures false for words alone
   */
  static Batch batch(long seed, boolean pictures) {
    var random = new Random(seed);
    int[] ids = random.ints(3L * LENGTH, 3, VOCAB).toArray();
    byte[] mask = new byte[ids.length];
    Arrays.fill(mask, 0, 2 * LENGTH + 5, (byte) 1);
    var images = new ArrayList<Batch.Image>();
    if (pictures) {
      for (int[] at : new int[][] {{0, 1}, {1, 2}, {1, 2 + PATCHES}}) {
        images.add(new Batch.Image(at[0], at[1], PATCHES, Path.of("none.png"), ""));
      }
    }
    return batch(ids, mask, images, random);
  }

  static Batch batch(int[] ids, byte[] mask, List<Batch.Image> images, Random random) {
    float[] pixels = new float[3 * PIXELS * PIXELS * images.size()];
    for (int i = 0; i < pixels.length; i++) {
      pixels[i] = random.nextFloat(-1, 1);
    }
    int rows = ids.length / LENGTH;
    int[] labels = new int[ids.length];
    List<String> names = List.of("a", "b", "c").subList(0, rows);
    return new Batch(rows, LENGTH, ids, labels, mask, pixels, PIXELS, images, names, 0);
  }

  /** What a plain pass over a batch says, read before its arrays are gone. */
  <T> T pass(Batch batch, BiFunction<Arena, Decoder.Output, T> read) {
    try (Arena arena = backend.arena("pass")) {
      int[] slots = batch.imagePositions();
      Array rows = backend.ints(arena, slots, slots.length);
      int images = batch.images().size();
      Array pixels = backend.floats(arena, DType.F32, batch.pixels(), images, 3, PIXELS, PIXELS);
      var input =
          new ModelInput(
              batch.rows(),
              batch.length(),
              backend.ints(arena, batch.ids(), batch.ids().length),
              backend.bytes(arena, batch.mask(), batch.rows(), batch.length()),
              new ModelInput.Images.Pixels(pixels, rows),
              List.of());
      return read.apply(arena, decoder.forward(Tape.off(backend, arena), input, false, Watch.NONE));
    }
  }

  RoutingStatistics statistics(Batch... batches) {
    return new RoutingCounter(backend, decoder).statistics(List.of(batches), (_, _) -> {});
  }

  @Override
  public void close() {
    decoder.close();
    weights.close();
    backend.close();
  }
}
