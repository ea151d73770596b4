package io.moextend.data;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class FeatureCacheTest {
  private static final String IMAGE = "ab".repeat(32);

  @TempDir Path folder;
  private final List<String> told = new ArrayList<>();

  private FeatureCache cache(String tower) {
    return new FeatureCache(folder, tower, 3, 4, (entry, why) -> told.add(why));
  }

  private static float[] features() {
    Random random = new Random(5);
    float[] features = new float[12];
    for (int i = 0; i < features.length; i++) {
      features[i] = (float) random.nextGaussian();
    }
    features[3] = -0.0f;
    features[4] = Float.MIN_VALUE;
    return features;
  }

  @Test
  void whatWasWrittenIsReadToTheBit() {
    assertThat(cache("t").read(IMAGE)).isEmpty();
    cache("t").write(IMAGE, features());
    FeatureCache cache = cache("t");
    assertThat(cache.read(IMAGE).orElseThrow()).isEqualTo(features());
    assertThat(List.of(cache.hits(), cache.misses(), cache.broken())).containsExactly(1L, 0L, 0L);
    assertThat(told).isEmpty();
  }

  @Test
  void anotherImageOrTowerFindsNothing() {
    cache("t").write(IMAGE, features());
    assertThat(cache("u").read(IMAGE)).isEmpty();
    assertThat(cache("t").read("cd".repeat(32))).isEmpty();
    assertThat(told).isEmpty();
  }

  @Test
  void aBrokenEntryIsToldAndReplaced() throws IOException {
    FeatureCache cache = cache("t");
    cache.write(IMAGE, features());
    Path entry = cache.entry(IMAGE);
    byte[] good = Files.readAllBytes(entry);
    for (int at = 0; at < good.length; at++) {
      byte[] bad = good.clone();
      bad[at] ^= 0x10;
      Files.write(entry, bad);
      assertThat(cache.read(IMAGE)).as("byte %d", at).isEmpty();
    }
    Files.write(entry, new byte[7]);
    assertThat(cache.read(IMAGE)).isEmpty();
    assertThat(told).hasSize(good.length + 1);
    assertThat(told.getFirst()).isEqualTo("its header is not that of features [3, 4]");
    assertThat(told.get(good.length - 1)).isEqualTo("its checksum is wrong");
    assertThat(told.getLast()).isEqualTo("it has 7 bytes instead of 68");
    assertThat(cache.broken()).isEqualTo(good.length + 1);
    cache.write(IMAGE, features());
    assertThat(cache.read(IMAGE)).isPresent();
  }

  @Test
  void nothingUnfinishedStaysBehind() throws IOException {
    cache("t").write(IMAGE, features());
    cache("t").write(IMAGE, features());
    try (Stream<Path> files = Files.walk(folder)) {
      assertThat(files.filter(Files::isRegularFile)).hasSize(1);
    }
  }
}
