package io.moextend.text;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.moextend.Golden;
import io.moextend.text.ImageTokens.SlotContent;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

class TokenizerTest {
  private static final Path REAL = Golden.path("moextend/tokenizer/tokenizer.json");
  private static final Path TINY = Golden.path("moextend/tokenizer_tiny");

  private static Tokenizer legacy;
  private static Tokenizer firstOnly;

  @TempDir Path folder;

  @BeforeAll
  @SuppressWarnings("MustBeClosedChecker") // closed after all
  static void open() {
    legacy = Tokenizer.open(REAL, SegmentPrefix.LEGACY);
    firstOnly = Tokenizer.open(REAL, SegmentPrefix.FIRST_ONLY);
  }

  @AfterAll
  static void close() {
    legacy.close();
    firstOnly.close();
  }

  private static JsonNode expected() throws IOException {
    return new ObjectMapper().readTree(Golden.path("moextend/tokenizer/expected.json").toFile());
  }

  static int[] ints(JsonNode array) {
    return IntStream.range(0, array.size()).map(i -> array.get(i).asInt()).toArray();
  }

  private static void openAndClose(Path file, SegmentPrefix prefix) {
    try (Tokenizer tokenizer = Tokenizer.open(file, prefix)) {
      assertThat(tokenizer.eos()).isNotNegative();
    }
  }

  @TestFactory
  List<DynamicTest> everyGoldenTextGivesThePublishedIds() throws IOException {
    JsonNode expected = expected();
    int span = expected.get("image_token_span").asInt();
    List<DynamicTest> tests = new ArrayList<>();
    for (String mode : List.of("tok_legacy", "tok_new")) {
      JsonNode wanted = expected.get(mode);
      Tokenizer tokenizer = wanted.get("legacy").asBoolean() ? legacy : firstOnly;
      assertThat(wanted.get("cases")).hasSize(14);
      for (JsonNode one : wanted.get("cases")) {
        String text = one.get("text").asText();
        tests.add(
            DynamicTest.dynamicTest(
                mode + " " + text,
                () -> {
                  ImageTokens images =
                      new ImageTokens(tokenizer, 32000, span, SlotContent.PATH_BYTES);
                  assertThat(images.encode(ImageMarkup.paths(text)).ids())
                      .isEqualTo(ints(one.get("ids(special=False)")));
                  TokenBuffer withStart = new TokenBuffer();
                  withStart.add(tokenizer.bos());
                  withStart.addAll(images.encode(ImageMarkup.paths(text)).ids());
                  assertThat(withStart.toArray()).isEqualTo(ints(one.get("ids(special=True)")));
                }));
      }
    }
    return tests;
  }

  @Test
  void padsFillTheSlotsAndThePathTravelsBeside() {
    Tokenizer tokenizer = firstOnly;
    ImageTokens images = new ImageTokens(tokenizer, 32000, 4, SlotContent.PADS);
    EncodedText text =
        images.encode(List.of(new Part.Image("a path.jpg"), new Part.Words("\nWhat is this?")));
    assertThat(text.ids())
        .containsExactly(32000, 32002, 32002, 32002, 32002, 32001, 13, 3195, 349, 456, 28804);
    assertThat(text.spans()).containsExactly(new ImageSpan(1, 4, "a path.jpg"));
  }

  @Test
  void severalImagesInOneTextKeepTheirOrder() {
    Tokenizer tokenizer = legacy;
    ImageTokens images = new ImageTokens(tokenizer, 32000, 3, SlotContent.PADS);
    EncodedText text = images.encode(ImageMarkup.paths("a<image>1</image><image>2</image> b"));
    assertThat(text.spans()).containsExactly(new ImageSpan(3, 3, "1"), new ImageSpan(8, 3, "2"));
    assertThat(text.ids()[2]).isEqualTo(32000);
    assertThat(text.ids()[11]).isEqualTo(32001);
  }

  @Test
  void theModelsOwnSpecialTokensAreKnown() {
    try (Tokenizer real = Tokenizer.open(REAL, SegmentPrefix.LEGACY);
        Tokenizer tiny = Tokenizer.open(TINY)) {
      assertThat(List.of(real.bos(), real.eos(), real.pad(), real.unk(), real.vocabularySize()))
          .containsExactly(1, 2, 2, 0, 32000);
      assertThat(List.of(tiny.bos(), tiny.eos(), tiny.pad(), tiny.unk(), tiny.vocabularySize()))
          .containsExactly(1, 2, 2, 0, 443);
      assertThat(tiny.prefix()).isEqualTo(SegmentPrefix.FIRST_ONLY);
      assertThat(tiny.added("</image>")).isEqualTo(441);
    }
  }

  @Test
  void decodingGivesTheTextBack() {
    String text = "Überall  two spaces, 你好 🚀\nand\ttabs.";
    for (SegmentPrefix prefix : SegmentPrefix.values()) {
      try (Tokenizer tokenizer = Tokenizer.open(REAL, prefix)) {
        String back = tokenizer.decode(tokenizer.encode(text));
        assertThat(back.strip()).as(prefix.name()).isEqualTo(text);
      }
    }
    Tokenizer tokenizer = firstOnly;
    assertThat(tokenizer.decode(new int[] {1, 22557, 1526, 2})).isEqualTo("Hello world");
  }

  @Test
  void nothingIsCutHoweverLongTheText() {
    Tokenizer tokenizer = firstOnly;
    int[] ids = tokenizer.encode("Hello world".repeat(1).concat(" Hello".repeat(30_000)));
    assertThat(ids).hasSize(30_002).endsWith(22557);
  }

  @Test
  void aFileThatAsksForTruncationAndPaddingIsNotObeyed() throws IOException {
    String json = Files.readString(TINY.resolve("tokenizer.json"));
    assertThat(json).contains("\"truncation\"");
    String cutting =
        json.replaceFirst(
            "\"truncation\": *null",
            "\"truncation\": {\"direction\": \"Right\", \"max_length\": 3, \"strategy\":"
                + " \"LongestFirst\", \"stride\": 0}");
    assertThat(cutting).isNotEqualTo(json);
    Path file = Files.writeString(folder.resolve("tokenizer.json"), cutting);
    for (SegmentPrefix prefix : SegmentPrefix.values()) {
      try (Tokenizer cut = Tokenizer.open(file, prefix);
          Tokenizer whole = Tokenizer.open(TINY.resolve("tokenizer.json"), prefix)) {
        String text = "the red tin on the hat";
        assertThat(cut.encode(text)).hasSizeGreaterThan(3).isEqualTo(whole.encode(text));
      }
    }
  }

  @Test
  void threadsShareOneTokenizer() throws Exception {
    try (Tokenizer tokenizer = Tokenizer.open(REAL, SegmentPrefix.FIRST_ONLY);
        ExecutorService threads = Executors.newFixedThreadPool(4)) {
      List<Callable<int[]>> tasks = new ArrayList<>();
      for (int i = 0; i < 200; i++) {
        String text = "Sentence number " + i + " about cats";
        tasks.add(() -> tokenizer.encode(text));
      }
      List<int[]> together = new ArrayList<>();
      for (var done : threads.invokeAll(tasks)) {
        together.add(done.get());
      }
      for (int i = 0; i < 200; i++) {
        assertThat(together.get(i))
            .isEqualTo(tokenizer.encode("Sentence number " + i + " about cats"));
      }
    }
  }

  @Test
  void aPathThatDoesNotFitIntoTheSlotsIsRefused() {
    Tokenizer tokenizer = firstOnly;
    ImageTokens images = new ImageTokens(tokenizer, 32000, 10, SlotContent.PATH_BYTES);
    assertThat(images.encode(List.of(new Part.Image("12345678"))).ids())
        .containsExactly(32000, 49, 50, 51, 52, 53, 54, 55, 56, 32002, 32002, 32001);
    assertThatThrownBy(() -> images.encode(List.of(new Part.Image("123456789"))))
        .isInstanceOf(TextException.class)
        .hasMessage(
            "the image path 123456789 has 9 bytes, and 10 slots take at most 8; shorten it, or"
                + " fill the slots with pads");
  }

  @Test
  void wordsThatHoldAnImageTokenAreRefused() {
    try (Tokenizer tokenizer = Tokenizer.open(TINY)) {
      ImageTokens images = new ImageTokens(tokenizer, 440, 5, SlotContent.PADS);
      assertThatThrownBy(() -> images.encode(List.of(new Part.Words("see <imgpad> there"))))
          .hasMessage("the words hold the image token <imgpad> themselves; write it otherwise");
    }
  }

  @Test
  void imageIdsThatMeanSomethingElseAreRefused() {
    assertThatThrownBy(() -> new ImageTokens(firstOnly, 31000, 5, SlotContent.PADS))
        .hasMessageEndingWith(
            "has 32000 ids and no <image> at 31000; set image_start_id to 32000 or more");
    try (Tokenizer tokenizer = Tokenizer.open(TINY)) {
      assertThatThrownBy(() -> new ImageTokens(tokenizer, 439, 5, SlotContent.PADS))
          .hasMessageEndingWith("set image_start_id to 440");
    }
  }

  @Test
  void aBrokenOrMissingFileIsNamed() throws IOException {
    Path broken = Files.writeString(folder.resolve("broken.json"), "{\"model\": ");
    assertThatThrownBy(() -> openAndClose(broken, SegmentPrefix.LEGACY))
        .isInstanceOf(TextException.class)
        .hasMessageStartingWith(broken + " is no JSON");
    Path missing = folder.resolve("nowhere.json");
    assertThatThrownBy(() -> openAndClose(missing, SegmentPrefix.LEGACY))
        .hasMessageStartingWith(missing + " cannot be read");
    Path other = Files.writeString(folder.resolve("other.json"), "{\"hidden_size\": 4}");
    assertThatThrownBy(() -> openAndClose(other, SegmentPrefix.LEGACY))
        .hasMessageStartingWith(other + " has no \"model\"");
  }

  @Test
  void everyPieceOfTheTinyTokenizerStandsUnderItsId() throws IOException {
    JsonNode pieces =
        new ObjectMapper().readTree(TINY.resolve("pieces.json").toFile()).get("pieces");
    try (Tokenizer tiny = Tokenizer.open(TINY)) {
      assertThat(tiny.vocabularySize()).isGreaterThanOrEqualTo(pieces.size());
      int words = 0;
      for (int id = 0; id < pieces.size(); id++) {
        String piece = pieces.get(id).asText();
        if (!piece.startsWith("<")) {
          assertThat(tiny.decode(new int[] {id}).strip())
              .as("piece %d", id)
              .isEqualTo(piece.replace('\u2581', ' ').strip());
          words++;
        }
      }
      assertThat(words).isGreaterThan(100);
    }
  }

  @Test
  void aTokenizerWithoutItsConfigIsTakenAsItsFileSays() {
    try (Tokenizer alone = Tokenizer.open(REAL)) {
      assertThat(alone.prefix()).isEqualTo(SegmentPrefix.AS_FILE);
      assertThat(alone.encode("Hello world")).containsExactly(22557, 1526);
    }
  }

  @Test
  void unbalancedImageTagsAreRefused() {
    assertThatThrownBy(() -> ImageMarkup.paths("a <image>x and <image>y</image>"))
        .hasMessage("an <image> at character 2 has no </image>; write <image>path</image>");
  }
}
