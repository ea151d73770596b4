package io.moextend.text;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.Golden;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ImagePlacesTest {
  private static final int PLACE = ImagePlaces.PLACE;

  @TempDir Path folder;

  @MustBeClosed
  private static Tokenizer golden(String name) {
    return Tokenizer.open(Golden.path("moiie/tokenizers/" + name), SegmentPrefix.AS_FILE);
  }

  @TestFactory
  List<DynamicTest> goldenTextsWithImagesGiveThePublishedIds() throws IOException {
    JsonNode texts =
        new ObjectMapper()
            .readTree(Golden.path("moiie/preprocessing/talk.json").toFile())
            .get("tokenizer_image_token");
    assertThat(texts).hasSize(15);
    List<DynamicTest> tests = new ArrayList<>();
    for (JsonNode one : texts) {
      String name = one.get("tokenizer").asText();
      String text = one.get("text").asText();
      tests.add(
          DynamicTest.dynamicTest(
              name + " " + text,
              () -> {
                try (Tokenizer tokenizer = golden(name)) {
                  assertThat(new ImagePlaces(tokenizer, 4).encode(text))
                      .isEqualTo(TokenizerTest.ints(one.get("ids")));
                }
              }));
    }
    return tests;
  }

  @ParameterizedTest
  @CsvSource({"tok_phi3,false", "tok_phi3_bos,true", "tok_minicpm,true", "tok_llama3,true"})
  void aTextStartsAsTheModelsOwnTokenizerStartsIt(String name, boolean starts) {
    try (Tokenizer tokenizer = golden(name)) {
      assertThat(tokenizer.start()).isEqualTo(starts ? new int[] {tokenizer.bos()} : new int[] {});
      assertThat(new ImagePlaces(tokenizer, 1).starts()).isEqualTo(starts);
    }
  }

  @Test
  void aPlaceWidensToItsPatchesAndNothingElse() {
    try (Tokenizer tokenizer = golden("tok_phi3")) {
      ImagePlaces places = new ImagePlaces(tokenizer, 3);
      int[] ids = {PLACE, 7, 8, PLACE, PLACE};
      EncodedText wide = places.widen(ids, List.of("a.png", "b.png", "c.png"));
      assertThat(wide.ids()).containsExactly(0, 0, 0, 7, 8, 0, 0, 0, 0, 0, 0);
      assertThat(wide.spans())
          .containsExactly(
              new ImageSpan(0, 3, "a.png"),
              new ImageSpan(5, 3, "b.png"),
              new ImageSpan(8, 3, "c.png"));
      assertThat(places.widen(ids, new int[] {-100, 1, 2, -100, -100}, -100))
          .containsExactly(-100, -100, -100, 1, 2, -100, -100, -100, -100, -100, -100);
    }
  }

  @Test
  void placesAndImagesMustBeAsMany() {
    try (Tokenizer tokenizer = golden("tok_phi3")) {
      ImagePlaces places = new ImagePlaces(tokenizer, 3);
      int[] two = {PLACE, 7, PLACE};
      assertThatThrownBy(() -> places.widen(two, List.of("a.png")))
          .isInstanceOf(TextException.class)
          .hasMessage("the text has 2 <image> and there are 1 images; make them as many");
      assertThatThrownBy(() -> places.widen(two, List.of("a.png", "b.png", "c.png")))
          .hasMessage("the text has 2 <image> and there are 3 images; make them as many");
    }
  }

  @Test
  void thePrefixRulesOfTheOtherPipelineAreRefused() {
    Path file = Golden.path("moiie/tokenizers/tok_phi3/tokenizer.json");
    try (Tokenizer tokenizer = Tokenizer.open(file)) {
      assertThat(tokenizer.prefix()).isEqualTo(SegmentPrefix.LEGACY);
      assertThatThrownBy(() -> new ImagePlaces(tokenizer, 3))
          .hasMessage(
              file
                  + " is read with the prefix rule LEGACY; models of this kind take it as its file"
                  + " says, open it as-file");
      assertThatThrownBy(() -> new ImagePlaces(tokenizer, 0))
          .hasMessage("an image of 0 slots; it needs one per patch, at least 1");
    }
  }

  @Test
  void aTokenizerThatAddsAnEndIsRefused() throws IOException {
    Path from = Golden.path("moiie/tokenizers/tok_phi3_bos");
    Files.copy(from.resolve("tokenizer.json"), folder.resolve("tokenizer.json"));
    Files.writeString(
        folder.resolve("tokenizer_config.json"),
        Files.readString(from.resolve("tokenizer_config.json"))
            .replace("\"add_eos_token\": false", "\"add_eos_token\": true"));
    try (Tokenizer tokenizer = Tokenizer.open(folder, SegmentPrefix.AS_FILE)) {
      assertThatThrownBy(() -> new ImagePlaces(tokenizer, 3))
          .isInstanceOf(TextException.class)
          .hasMessage(
              folder.resolve("tokenizer.json")
                  + " puts [1] before each text and [440] behind it; only its start token in front"
                  + " is known");
    }
  }

  @Test
  void anAddedTokenTakesTheSpacesBehindItAlongWhereItsFileSaysSo() throws IOException {
    String json = Files.readString(Golden.path("moiie/tokenizers/tok_phi3/tokenizer.json"));
    int end = json.indexOf("\"<|end|>\"");
    int strips = json.indexOf("\"rstrip\": false", end);
    assertThat(strips).isBetween(end, end + 120);
    Files.writeString(
        folder.resolve("tokenizer.json"),
        json.substring(0, strips)
            + "\"rstrip\": true"
            + json.substring(strips + "\"rstrip\": false".length()));
    try (Tokenizer plain = golden("tok_phi3");
        Tokenizer strip = Tokenizer.open(folder.resolve("tokenizer.json"), SegmentPrefix.AS_FILE)) {
      assertThat(strip.encode("a<|end|> \n b")).isEqualTo(plain.encode("a<|end|>b"));
      assertThat(plain.encode("a<|end|> \n b")).isNotEqualTo(plain.encode("a<|end|>b"));
    }
  }
}
