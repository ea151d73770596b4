package io.moextend.model;

import static org.assertj.core.api.Assertions.assertThat;

import io.moextend.Golden;
import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Tape;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider;
import io.moextend.backend.Backends;
import io.moextend.checkpoint.CheckpointFolder;
import io.moextend.config.DecoderConfig;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.config.VisionConfig;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/** One of the reference models, with a window of its own. */
record CachedModel(Backend backend, OpenModel model, DecoderConfig config)
    implements AutoCloseable {
  /** Of what the tests draw. */
  static final long SEED = 20261122;

  private static final double TOLERANCE = 1e-5;

  @SuppressWarnings("MustBeClosedChecker") // closed with the record
  static CachedModel of(String backendName, String name, int window) {
    DecoderConfig c = HuggingFaceConfig.read(Golden.path(name)).decoder();
    var config =
        new DecoderConfig(
            c.modelType(),
            c.vocab(),
            c.hidden(),
            c.layers(),
            c.heads(),
            c.rope(),
            window,
            c.normEps(),
            c.initializerRange(),
            c.tiedHead(),
            c.feedForward(),
            c.tokens(),
            c.vision());
    Backend backend = Backends.open(backendName, new BackendProvider.Options(2, 0));
    var source = CheckpointFolder.open(Golden.path(name));
    return new CachedModel(
        backend, OpenModel.of(source, config, backend, DType.F32, Set.of(), 0), config);
  }

  Decoder decoder() {
    return model.decoder();
  }

  @SuppressWarnings("MustBeClosedChecker") // handed to the caller, who closes it
  KeyValueCache cache(int capacity) {
    return new KeyValueCache(backend, config, DType.F32, capacity);
  }

  /** Logits of every token, from one pass over all. */
  float[][] whole(int[] ids, float @Nullable [] pixels, int firstSlot) {
    try (Arena arena = backend.arena("whole")) {
      Tape tape = Tape.off(backend, arena);
      ModelInput input = input(arena, 1, ids, pixels, firstSlot);
      return logits(tape, decoder().forward(tape, input, false, Watch.NONE));
    }
  }

  /** Logits of the new tokens, with those before in caches. */
  float[][] extended(int[] ids, float @Nullable [] pixels, int firstSlot, KeyValueCache... caches) {
    try (Arena arena = backend.arena("extended")) {
      Tape tape = Tape.off(backend, arena);
      ModelInput input = input(arena, caches.length, ids, pixels, firstSlot);
      return logits(tape, decoder().extend(tape, input, List.of(caches), null));
    }
  }

  private ModelInput input(
      Arena arena, int batch, int[] ids, float @Nullable [] pixels, int firstSlot) {
    return new ModelInput(
        batch,
        ids.length / batch,
        backend.ints(arena, ids, ids.length),
        null,
        pixels == null ? null : images(arena, pixels, firstSlot),
        List.of());
  }

  private ModelInput.Images images(Arena arena, float[] pixels, int firstSlot) {
    int size = vision().imageSize();
    int[] rows = IntStream.range(firstSlot, firstSlot + vision().tokens()).toArray();
    return new ModelInput.Images.Pixels(
        backend.floats(arena, DType.F32, pixels, 1, 3, size, size),
        backend.ints(arena, rows, rows.length));
  }

  VisionConfig vision() {
    VisionConfig vision = config.vision();
    if (vision == null) {
      throw new IllegalStateException("the model has no vision part");
    }
    return vision;
  }

  private float[][] logits(Tape tape, Decoder.Output output) {
    Array all = decoder().logits(tape, output.hidden()).data();
    float[] flat = backend.toFloats(tape.arena(), all);
    int width = (int) all.dim(1);
    return IntStream.range(0, flat.length / width)
        .mapToObj(r -> Arrays.copyOfRange(flat, r * width, (r + 1) * width))
        .toArray(float[][]::new);
  }

  @Override
  public void close() {
    model.close();
    backend.close();
  }

  static int[] slice(int[] ids, int from, int until) {
    return Arrays.copyOfRange(ids, from, until);
  }

  static void compare(float[] got, float[] want, String what) {
    double largest = 0;
    for (float w : want) {
      largest = Math.max(largest, Math.abs(w));
    }
    for (int i = 0; i < want.length; i++) {
      assertThat(Math.abs((double) got[i] - want[i]))
          .as("%s, logit %d, %s for %s, seed %d", what, i, got[i], want[i], SEED)
          .isLessThanOrEqualTo(TOLERANCE * largest);
    }
  }
}
