package io.moextend.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.moextend.array.DType;
import io.moextend.nn.Sites;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** An answer token by token, against the decoder over all its tokens in one pass. */
class T5CacheTest {
  private static final long SEED = 20261123;

  @ParameterizedTest(name = "{1} on {0}")
  @CsvSource({
    "cpu, hf/hf_t5",
    "nd4j, hf/hf_t5",
    "emulated, hf/hf_t5",
    "cpu, hf/hf_t5_v10",
    "nd4j, hf/hf_t5_v10"
  })
  void tokenByTokenGivesTheLogitsOfTheWholeAnswer(String backend, String name) {
    try (var c = opened(backend, name)) {
      // beyond the distance from which on all share a bucket, with padding inside
      int[] inputs = drawn(c, 31);
      inputs[7] = c.model.config().tokens().pad();
      int[] answer = drawn(c, 27);
      answer[0] = c.model.config().tokens().start();
      answer[9] = c.model.config().tokens().pad();
      c.compareTokenByToken(inputs, answer);
      long before = c.backend.memory().liveBytes(); // with a backend's own form of the weights
      c.compareTokenByToken(inputs, answer);
      assertThat(c.backend.memory().liveBytes()).isEqualTo(before);
    }
  }

  @Test
  void whatHasNoRoomIsRefusedAndLeavesTheCacheAsItWas() {
    try (var c = opened("cpu", "hf/hf_t5");
        T5Cache cache = c.model.read(c.backend, new int[] {5, 6, 1}, 3)) {
      float[] first = c.extended(new int[] {0, 7}, cache);
      assertThatThrownBy(() -> c.extended(new int[] {8, 9}, cache))
          .hasMessage("2 more tokens behind 2 in a cache for 3");
      assertThat(cache.length()).isEqualTo(2);
      assertThat(c.extended(new int[] {8}, cache)).hasSize(first.length / 2);
    }
  }

  @Test
  void itTakesKeysAndValuesOfInputsAndAnswerInEveryLayerAndLittleMore() {
    try (var c = opened("cpu", "hf/hf_t5")) {
      long inner = c.model.config().inner();
      long layers = c.model.config().decoderLayers();
      long before = c.backend.memory().liveBytes();
      try (T5Cache cache = c.model.read(c.backend, drawn(c, 40), 50)) {
        assertThat(cache.bytes())
            .isEqualTo(c.backend.memory().liveBytes() - before)
            .isBetween(2 * layers * 90 * inner * 4, 2 * layers * 90 * inner * 4 + 128);
        assertThat(cache.inputLength()).isEqualTo(40);
      }
      assertThat(c.backend.memory().liveBytes()).isEqualTo(before);
    }
  }

  @SuppressWarnings("MustBeClosedChecker") // closed by the caller
  private static T5Case opened(String backend, String name) {
    return new T5Case(backend, name, DType.F32, ParameterChoice.NONE, (b, arena) -> Sites.NONE);
  }

  private static int[] drawn(T5Case c, int length) {
    return new Random(SEED).ints(length, 2, c.model.config().vocab()).toArray();
  }
}
