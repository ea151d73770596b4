package io.moextend.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.array.DType;
import io.moextend.config.ConfigException;
import io.moextend.config.DecoderConfig;
import java.util.Arrays;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** A prompt and then token by token, against the whole sequence in one pass. */
class KeyValueCacheTest {
  private static final long SEED = CachedModel.SEED;

  static Stream<Arguments> cases() {
    return Stream.of("cpu", "nd4j")
        .flatMap(
            backend ->
                Stream.of(
                    // what follows an image is routed as text
                    Arguments.of(backend, "moiie/vanilla_phi3", 0, true),
                    Arguments.of(backend, "moiie/modality_phi3", 0, true),
                    Arguments.of(backend, "moiie/routed_modality_phi3", 0, true),
                    Arguments.of(backend, "hf/hf_mixtral", 0, false),
                    Arguments.of(backend, "hf/hf_mixtral", 5, false),
                    Arguments.of(backend, "hf/hf_llama", 0, false),
                    Arguments.of(backend, "hf/hf_llama31", 0, false),
                    Arguments.of(backend, "hf/hf_mistral", 6, false),
                    Arguments.of(backend, "hf/hf_qwen2", 0, false),
                    Arguments.of(backend, "hf/hf_phi3", 0, false),
                    Arguments.of(backend, "hf/hf_phi3", 5, false),
                    Arguments.of(backend, "moextend/moextend_ft_rand", 0, false),
                    Arguments.of(backend, "moextend/moextend_ft_rand", 0, true),
                    Arguments.of(backend, "moiie/stage1_dense_phi3", 0, true),
                    Arguments.of(backend, "moiie/moiie_phi3", 0, true),
                    Arguments.of(backend, "moiie/moiie_llama3", 0, true)));
  }

  @ParameterizedTest(name = "{1} on {0}, window {2}, image {3}")
  @MethodSource("cases")
  void tokenByTokenGivesWhatTheWholeSequenceGives(
      String backendName, String name, int window, boolean image) {
    var random = new Random(SEED);
    try (CachedModel opened = CachedModel.of(backendName, name, window)) {
      int patches = image ? opened.vision().tokens() : 0;
      int prompt = 11 + patches;
      int[] ids = random.ints(prompt + 9, 3, 96).toArray();
      float[] pixels = image ? pixels(random, opened.vision().imageSize()) : null;
      float[][] want = opened.whole(ids, pixels, 3);
      long before = opened.backend().memory().liveBytes();
      try (KeyValueCache cache = opened.cache(ids.length)) {
        float[][] first = opened.extended(Arrays.copyOf(ids, prompt), pixels, 3, cache);
        for (int t = 0; t < prompt; t++) {
          CachedModel.compare(first[t], want[t], "prompt token " + t);
        }
        // three at once, then one at a time
        float[][] three =
            opened.extended(CachedModel.slice(ids, prompt, prompt + 3), null, 0, cache);
        for (int t = 0; t < 3; t++) {
          CachedModel.compare(three[t], want[prompt + t], "token " + (prompt + t));
        }
        for (int t = prompt + 3; t < ids.length; t++) {
          CachedModel.compare(
              opened.extended(CachedModel.slice(ids, t, t + 1), null, 0, cache)[0],
              want[t],
              "token " + t);
        }
        assertThat(cache.length()).isEqualTo(ids.length);
      }
      assertThat(opened.backend().memory().liveBytes()).isEqualTo(before);
    }
  }

  @Test
  void sequencesOfDifferentLengthsStepTogether() {
    var random = new Random(SEED);
    try (CachedModel opened = CachedModel.of("cpu", "hf/hf_mixtral", 0);
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
        CachedModel.compare(got[0], wantLong[11 + t], "long, token " + (11 + t));
        CachedModel.compare(got[1], wantShort[3 + t], "short, token " + (3 + t));
      }
    }
  }

  @Test
  void whatHasNoRoomIsRefusedAndLeavesTheCacheAsItWas() {
    try (CachedModel opened = CachedModel.of("cpu", "hf/hf_llama", 0);
        KeyValueCache cache = opened.cache(4)) {
      opened.extended(new int[] {5, 6, 7}, null, 0, cache);
      assertThatThrownBy(() -> opened.extended(new int[] {8, 9}, null, 0, cache))
          .hasMessage("2 more tokens behind 3 in a cache for 4");
      assertThat(cache.length()).isEqualTo(3);
      float[] next = opened.extended(new int[] {8}, null, 0, cache)[0];
      CachedModel.compare(
          next, opened.whole(new int[] {5, 6, 7, 8}, null, 0)[3], "the fourth token");
      int most = opened.config().rope().maxPositions();
      assertThatThrownBy(() -> opened.cache(most + 1).close())
          .isInstanceOf(ConfigException.class)
          .hasMessageContaining("max_position_embeddings=" + most)
          .hasMessageContaining("ask for fewer new tokens");
    }
  }

  @Test
  void itTakesKeysAndValuesOfEveryLayerAndNoMore() {
    try (CachedModel opened = CachedModel.of("cpu", "hf/hf_mixtral", 0)) {
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
}
