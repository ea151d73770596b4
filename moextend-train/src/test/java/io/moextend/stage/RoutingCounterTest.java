package io.moextend.stage;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.moextend.Golden;
import io.moextend.GoldenModels;
import io.moextend.array.DType;
import io.moextend.backend.Backend;
import io.moextend.backend.BackendProvider;
import io.moextend.backend.Backends;
import io.moextend.checkpoint.CheckpointFolder;
import io.moextend.config.ConfigException;
import io.moextend.config.HuggingFaceConfig;
import io.moextend.data.Batch;
import io.moextend.data.BatchesAhead;
import io.moextend.data.ChatTemplate;
import io.moextend.data.DataException;
import io.moextend.data.Encoder;
import io.moextend.data.FirstTurns;
import io.moextend.data.ImageRoot;
import io.moextend.data.KeptTurns;
import io.moextend.data.OverLength;
import io.moextend.data.Pictures;
import io.moextend.data.SampleFile;
import io.moextend.data.image.ClipPreprocessing;
import io.moextend.data.image.ImageDecoder;
import io.moextend.model.OpenModel;
import io.moextend.text.ImageTokens;
import io.moextend.text.ImageTokens.SlotContent;
import io.moextend.text.Tokenizer;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Against the published script's own counts on a tiny model before and after its extension. */
class RoutingCounterTest {
  private static final int PATCHES = 36;
  private static final int IMAGES = 3;
  private static final int TOKENS = 156;
  private static final int VOCABULARY = 480;

  @TempDir Path folder;

  /** What a test asks of the texts. */
  @FunctionalInterface
  private interface Use<T> {
    T of(FirstTurns texts);
  }

  private static <T> T texts(int samples, int longest, boolean withImages, Use<T> use) {
    Path data = Golden.path("moextend/data/train.json");
    try (Tokenizer tokenizer = Tokenizer.open(Golden.path("moextend/tokenizer_tiny"));
        SampleFile file = SampleFile.open(data, KeptTurns.FIRST_ONLY, null)) {
      var tokens = new ImageTokens(tokenizer, 440, PATCHES, SlotContent.PADS);
      var encoder = new Encoder(tokens, ChatTemplate.INSTRUCT, longest, OverLength.REJECT);
      @Nullable Pictures pictures =
          withImages
              ? new Pictures(
                  new ImageRoot(Golden.path("moextend/data")),
                  new ImageDecoder(),
                  ClipPreprocessing.read(
                      GoldenModels.beforeExtension().resolve("preprocessor_config.json")))
              : null;
      return use.of(FirstTurns.of(file, samples, encoder, pictures, VOCABULARY));
    }
  }

  /** All batches, each made when it is asked for. */
  private static Iterable<Batch> all(FirstTurns texts, int rows) {
    return () -> texts.batches(rows).stream().map(texts::batch).iterator();
  }

  private static RoutingCensus count(
      Path model, String backendName, CountingMode mode, int rows, int samples) {
    try (Backend backend = Backends.open(backendName, new BackendProvider.Options(2, 0));
        OpenModel open =
            OpenModel.of(
                CheckpointFolder.open(model),
                HuggingFaceConfig.read(model).decoder(),
                backend,
                DType.F32,
                Set.of(),
                0)) {
      var counter = new RoutingCounter(backend, open.decoder());
      return texts(
          samples, 256, true, texts -> counter.census(all(texts, rows), mode, (s, t) -> {}));
    }
  }

  @ParameterizedTest(name = "{0}, {1}, {2} a batch")
  @CsvSource({
    "cpu, PAPER, 1",
    "cpu, PAPER, 2",
    "cpu, PAPER, 4",
    "cpu, AS_PUBLISHED, 1",
    "cpu, AS_PUBLISHED, 3",
    "nd4j, PAPER, 1",
    "nd4j, PAPER, 4",
    "nd4j, AS_PUBLISHED, 1",
    "nd4j, AS_PUBLISHED, 4"
  })
  void sharesBeforeAndAfterAreThePublishedOnes(String backend, CountingMode mode, int rows)
      throws IOException {
    JsonNode golden =
        JsonMapper.builder()
            .build()
            .readTree(Golden.path("moextend/expert_distribution/expected.json").toFile());
    boolean paper = mode == CountingMode.PAPER;
    JsonNode wanted = paper ? golden.get("intended_argsort_descending") : golden;
    RoutingCensus before = count(GoldenModels.beforeExtension(), backend, mode, rows, 4);
    RoutingCensus after =
        count(GoldenModels.afterExtension(folder.resolve("after")), backend, mode, rows, 4);

    assertShares(before, wanted.get(paper ? "before" : "before(layer->expert->fraction)"));
    assertShares(after, wanted.get("after"));
    assertThat(before.fractions()).isNotEqualTo(after.fractions());
  }

  private static void assertShares(RoutingCensus census, JsonNode wanted) {
    double[][] got = census.fractions();
    assertThat(got).hasNumberOfRows(wanted.size());
    for (int layer = 0; layer < got.length; layer++) {
      assertThat(census.total(layer)).isEqualTo(2 * TOKENS);
      for (int expert = 0; expert < got[layer].length; expert++) {
        assertThat(got[layer][expert])
            .as("layer %d, expert %d", layer, expert)
            .isEqualTo(
                wanted.get(String.valueOf(layer)).get(String.valueOf(expert)).asDouble(),
                within(1e-12));
      }
    }
  }

  @Test
  void patchesAreImageTokensAndTheirMarksAreText() {
    RoutingCensus census = count(GoldenModels.beforeExtension(), "cpu", CountingMode.PAPER, 2, 4);
    for (int layer = 0; layer < census.layers().size(); layer++) {
      assertThat(census.total(layer, Modality.IMAGE)).isEqualTo(2L * IMAGES * PATCHES);
      assertThat(census.total(layer, Modality.TEXT)).isEqualTo(2L * (TOKENS - IMAGES * PATCHES));
    }
  }

  @Test
  void theFirstSamplesAreThoseOfTheFile() {
    long[] whole = count(GoldenModels.beforeExtension(), "cpu", CountingMode.PAPER, 4, 4).flat();
    long[] three = count(GoldenModels.beforeExtension(), "cpu", CountingMode.PAPER, 4, 3).flat();
    long[] two = count(GoldenModels.beforeExtension(), "cpu", CountingMode.PAPER, 1, 2).flat();
    assertThat(three).isNotEqualTo(whole);
    int[] lengths = texts(4, 256, true, texts -> lengths(texts, 4));
    assertThat(sum(three)).isEqualTo(3L * 2 * (TOKENS - lengths[3]));
    assertThat(sum(two)).isEqualTo(3L * 2 * (lengths[0] + lengths[1]));
  }

  private static int[] lengths(FirstTurns texts, int samples) {
    int[] lengths = new int[samples];
    for (int i = 0; i < samples; i++) {
      lengths[i] = texts.batch(new int[] {i}).length();
    }
    return lengths;
  }

  private static long sum(long[] counts) {
    long sum = 0;
    for (long count : counts) {
      sum += count;
    }
    return sum;
  }

  @Test
  void everySampleIsInOneBatchTheLongestFirst() {
    List<int[]> batches = texts(4, 256, true, texts -> texts.batches(3));
    assertThat(batches).hasSize(2);
    var all = new ArrayList<Integer>();
    batches.forEach(
        batch -> {
          for (int index : batch) {
            all.add(index);
          }
        });
    assertThat(all).containsExactlyInAnyOrder(0, 1, 2, 3);
    assertThat(all.getLast()).as("the one without an image").isEqualTo(2);
  }

  @Test
  void theListenerHearsOfEverySampleAndToken() {
    var heard = new long[2];
    try (Backend backend = Backends.open("cpu", new BackendProvider.Options(2, 0));
        OpenModel open =
            OpenModel.of(
                CheckpointFolder.open(GoldenModels.beforeExtension()),
                HuggingFaceConfig.read(GoldenModels.beforeExtension()).decoder(),
                backend,
                DType.F32,
                Set.of(),
                0)) {
      var counter = new RoutingCounter(backend, open.decoder());
      texts(
          4,
          256,
          true,
          texts -> {
            try (BatchesAhead batches = texts.ahead(3)) {
              return counter.census(
                  batches,
                  CountingMode.PAPER,
                  (samples, tokens) -> {
                    heard[0] += samples;
                    heard[1] += tokens;
                  });
            }
          });
    }
    assertThat(heard).containsExactly(4, TOKENS);
  }

  @Test
  void aTextLongerThanTheModelTakesIsNamedBeforeAnythingRuns() {
    assertThatThrownBy(() -> texts(4, 40, true, FirstTurns::size))
        .isInstanceOf(DataException.class)
        .hasMessageContaining("train.json: sample 1")
        .hasMessageContaining("the model takes 40");
  }

  @Test
  void aModelWithoutImagesRefusesASampleThatHasOne() {
    assertThatThrownBy(() -> texts(4, 256, false, FirstTurns::size))
        .isInstanceOf(DataException.class)
        .hasMessageContaining("train.json: sample 1")
        .hasMessageContaining("i0.png")
        .hasMessageContaining("model takes none");
  }

  @Test
  void anExtendedModelIsNotCompared() {
    assertThatThrownBy(
            () ->
                ExpertDistribution.comparable(
                    HuggingFaceConfig.read(Golden.path("moextend/moextend_ft")).decoder()))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("add_layer=[0, 2]");
  }
}
