package io.moextend.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.Golden;
import io.moextend.array.Arena;
import io.moextend.array.Array;
import io.moextend.array.DType;
import io.moextend.autograd.Tape;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider;
import io.moextend.backend.Backends;
import io.moextend.checkpoint.CheckpointFolder;
import io.moextend.config.ConfigException;
import io.moextend.config.DecoderConfig;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.config.VisionConfig;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** A prompt and then token by token, against the whole sequence in one pass. */
class KeyValueCacheTest {
  private static final long SEED = 20261122;
  private static final double TOLERANCE = 1e-5;

  static Stream<Arguments> cases() {
    return Stream.of("cpu", "nd4j")
        .flatMap(
            backend ->
                Stream.of(
                    Arguments.of(backend, "hf/hf_mixtral", 0, false),
                    Arguments.of(backend, "hf/hf_mixtral", 5, false),
                    Arguments.of(backend, "hf/hf_llama", 0, false),
                    Arguments.of(backend, "moextend/moextend_ft_rand", 0, false),
                    Arguments.of(backend, "moextend/moextend_ft_rand", 0, true)));
  }

  /** One of the reference models, with a window of its own. */
  private record Opened(Backend backend, OpenModel model, DecoderConfig config)
      implements AutoCloseable {
    @SuppressWarnings("MustBeClosedChecker") // closed with the record
    static Opened of(String backendName, String name, int window) {
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
      return new Opened(
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
    float[][] extended(
        int[] ids, float @Nullable [] pixels, int firstSlot, KeyValueCache... caches) {
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
      int size = vision().tower().imageSize();
      int[] rows = IntStream.range(firstSlot, firstSlot + vision().tower().patches()).toArray();
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
  }

  @ParameterizedTest(name = "{1} on {0}, window {2}, image {3}")
  @MethodSource("cases")
  void tokenByTokenGivesWhatTheWholeSequenceGives(
      String backendName, String name, int window, boolean image) {
    var random = new Random(SEED);
    try (Opened opened = Opened.of(backendName, name, window)) {
      int patches = image ? opened.vision().tower().patches() : 0;
      int prompt = 11 + patches;
      int[] ids = random.ints(prompt + 9, 3, 100).toArray();
      float[] pixels = image ? pixels(random, opened.vision().tower().imageSize()) : null;
      float[][] want = opened.whole(ids, pixels, 3);
      long before = opened.backend().memory().liveBytes();
      try (KeyValueCache cache = opened.cache(ids.length)) {
        float[][] first = opened.extended(Arrays.copyOf(ids, prompt), pixels, 3, cache);
        for (int t = 0; t < prompt; t++) {
          compare(first[t], want[t], "prompt token " + t);
        }
        // three at once, then one at a time
        float[][] three = opened.extended(slice(ids, prompt, prompt + 3), null, 0, cache);
        for (int t = 0; t < 3; t++) {
          compare(three[t], want[prompt + t], "token " + (prompt + t));
        }
        for (int t = prompt + 3; t < ids.length; t++) {
          compare(opened.extended(slice(ids, t, t + 1), null, 0, cache)[0], want[t], "token " + t);
        }
        assertThat(cache.length()).isEqualTo(ids.length);
      }
      assertThat(opened.backend().memory().liveBytes()).isEqualTo(before);
    }
  }

  @Test
  void sequencesOfDifferentLengthsStepTogether() {
    var random = new Random(SEED);
    try (Opened opened = Opened.of("cpu", "hf/hf_mixtral", 0);
        KeyValueCache one = opened.cache(20);
        KeyValueCache other = opened.cache(15)) {
      int[] long1 = random.ints(16, 3, 100).toArray();
      int[] short1 = random.ints(8, 3, 100).toArray();
      float[][] wantLong = opened.whole(long1, null, 0);
      float[][] wantShort = opened.whole(short1, null, 0);
      opened.extended(Arrays.copyOf(long1, 11), null, 0, one);
      opened.extended(Arrays.copyOf(short1, 3), null, 0, other);
      for (int t = 0; t < 5; t++) {
        float[][] got =
            opened.extended(new int[] {long1[11 + t], short1[3 + t]}, null, 0, one, other);
        compare(got[0], wantLong[11 + t], "long, token " + (11 + t));
        compare(got[1], wantShort[3 + t], "short, token " + (3 + t));
      }
    }
  }

  @Test
  void whatHasNoRoomIsRefusedAndLeavesTheCacheAsItWas() {
    try (Opened opened = Opened.of("cpu", "hf/hf_llama", 0);
        KeyValueCache cache = opened.cache(4)) {
      opened.extended(new int[] {5, 6, 7}, null, 0, cache);
      assertThatThrownBy(() -> opened.extended(new int[] {8, 9}, null, 0, cache))
          .hasMessage("2 more tokens behind 3 in a cache for 4");
      assertThat(cache.length()).isEqualTo(3);
      float[] next = opened.extended(new int[] {8}, null, 0, cache)[0];
      compare(next, opened.whole(new int[] {5, 6, 7, 8}, null, 0)[3], "the fourth token");
      int most = opened.config().rope().maxPositions();
      assertThatThrownBy(() -> opened.cache(most + 1).close())
          .isInstanceOf(ConfigException.class)
          .hasMessageContaining("max_position_embeddings=" + most)
          .hasMessageContaining("ask for fewer new tokens");
    }
  }

  @Test
  void itTakesKeysAndValuesOfEveryLayerAndNoMore() {
    try (Opened opened = Opened.of("cpu", "hf/hf_mixtral", 0)) {
      DecoderConfig c = opened.config();
      long width = (long) c.heads().keyValue() * c.heads().size();
      long before = opened.backend().memory().liveBytes();
      try (KeyValueCache cache = opened.cache(50)) {
        assertThat(cache.bytes())
            .isEqualTo(2 * c.layers() * 50 * width * 4)
            .isEqualTo(KeyValueCache.bytes(c, DType.F32, 50))
            .isEqualTo(opened.backend().memory().liveBytes() - before);
      }
      assertThat(opened.backend().memory().liveBytes()).isEqualTo(before);
    }
  }

  private static float[] pixels(Random random, int size) {
    float[] pixels = new float[3 * size * size];
    for (int i = 0; i < pixels.length; i++) {
      pixels[i] = (float) random.nextGaussian();
    }
    return pixels;
  }

  private static int[] slice(int[] ids, int from, int until) {
    return Arrays.copyOfRange(ids, from, until);
  }

  private static void compare(float[] got, float[] want, String what) {
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
