package io.moextend.data;

import static io.moextend.data.GoldenTalk.PATCHES;
import static io.moextend.data.GoldenTalk.encoder;
import static io.moextend.data.GoldenTalk.json;
import static io.moextend.data.GoldenTalk.sample;
import static io.moextend.data.GoldenTalk.tokenizer;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import io.moextend.Golden;
import io.moextend.text.EncodedText;
import io.moextend.text.ImagePlaces;
import io.moextend.text.ImageSpan;
import io.moextend.text.SegmentPrefix;
import io.moextend.text.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ConversationEncoderTest {
  private static final String LONG_TALK =
      """
      {"id": "x", "conversations": [
        {"from": "human", "value": "the text only one"}, {"from": "gpt", "value": "yes and no"},
        {"from": "human", "value": "Sure?"}, {"from": "gpt", "value": "Yes."},
        {"from": "human", "value": "two"}, {"from": "gpt", "value": "one of them"}]}""";

  /**
   * A cut row of words keeps its labels where the sum still stands: the filler is the end here, so
   * up to three ids count for nothing. Worked out by hand from the published rule.
   */
  @Test
  void aRowOfWordsIsCutBeforeItsSumIsChecked() throws IOException {
    try (Tokenizer tokenizer = tokenizer("tok_phi3")) {
      Sample sample = sample(LONG_TALK);
      EncodedSample whole =
          encoder(tokenizer, ConversationTemplate.PHI3, 500, OverLength.REJECT)
              .encode(sample)
              .orElseThrow();
      assertThat(whole.doubt()).isEmpty();
      int[] ends = IntStream.range(0, whole.length()).filter(t -> whole.ids()[t] == 440).toArray();
      assertThat(ends).hasSize(3).endsWith(whole.length() - 1);
      for (int cut = 1; cut <= 4; cut++) {
        int maxLength = whole.length() - cut;
        EncodedSample row =
            encoder(tokenizer, ConversationTemplate.PHI3, maxLength, OverLength.TRUNCATE)
                .encode(sample)
                .orElseThrow();
        assertThat(row.length()).isEqualTo(maxLength);
        assertThat(row.ids()).isEqualTo(Arrays.copyOf(whole.ids(), maxLength));
        // 3 rounds count 3 ids less: 1 too long, the two ends before the cut are what is missing;
        // 2 too long, they no longer are; 3 too long and more, the sum is not asked for
        boolean adds = cut != 2;
        assertThat(row.doubt().isEmpty()).as("cut %d", cut).isEqualTo(adds);
        int[] labels = new int[maxLength];
        Arrays.fill(labels, EncodedSample.IGNORED);
        assertThat(row.labels())
            .isEqualTo(adds ? Arrays.copyOf(whole.labels(), maxLength) : labels);
      }
    }
  }

  private static final String TWO_IMAGES =
      """
      {"id": "two", "image": ["a.png", "b.png"], "conversations": [
        {"from": "human", "value": "one <image>"}, {"from": "gpt", "value": "yes"},
        {"from": "human", "value": "<image> and here <image>?"}, {"from": "gpt", "value": "no"}]}""";

  @Test
  void aCutThroughAnImageGoesBeforeIt() throws IOException {
    try (Tokenizer tokenizer = tokenizer("tok_llama3")) {
      Sample sample = sample(TWO_IMAGES.replace("[\"a.png\", \"b.png\"]", "[\"a\", \"b\", \"c\"]"));
      EncodedSample whole =
          encoder(tokenizer, ConversationTemplate.LLAMA, 500, OverLength.REJECT)
              .encode(sample)
              .orElseThrow();
      assertThat(whole.spans()).extracting(ImageSpan::path).containsExactly("a", "b", "c");
      assertThat(whole.doubt()).isEmpty();
      for (int maxLength = 2; maxLength < whole.length(); maxLength++) {
        int limit = maxLength;
        List<ImageSpan> cut =
            whole.spans().stream()
                .filter(span -> span.firstSlot() < limit && span.end() > limit)
                .toList();
        int length = cut.isEmpty() ? maxLength : cut.getFirst().firstSlot();
        EncodedSample row =
            encoder(tokenizer, ConversationTemplate.LLAMA, maxLength, OverLength.TRUNCATE)
                .encode(sample)
                .orElseThrow();
        assertThat(row.ids()).isEqualTo(Arrays.copyOf(whole.ids(), length));
        assertThat(row.labels()).isEqualTo(Arrays.copyOf(whole.labels(), length));
        assertThat(row.spans())
            .isEqualTo(whole.spans().stream().filter(span -> span.end() <= limit).toList());
      }
    }
  }

  @Test
  void anImageThatLeavesNoRoomForAnythingIsNamed() throws IOException {
    try (Tokenizer tokenizer = tokenizer("tok_phi3")) {
      ConversationEncoder encoder =
          encoder(tokenizer, ConversationTemplate.PLAIN, 15, OverLength.TRUNCATE);
      Sample sample = sample(json("plain.json").get(0));
      assertThatThrownBy(() -> encoder.encode(sample))
          .isInstanceOf(DataException.class)
          .hasMessage(
              "talk.json: sample 1 (id p0): its image wide.png takes 16 ids and max length is 15;"
                  + " raise max length");
    }
  }

  @Test
  void aSampleThatIsTooLongIsRejectedByNameOrLeftOut() throws IOException {
    try (Tokenizer tokenizer = tokenizer("tok_phi3")) {
      Sample sample = sample(json("train.json").get(0));
      assertThatThrownBy(
              () ->
                  encoder(tokenizer, ConversationTemplate.BUNNY, 151, OverLength.REJECT)
                      .encode(sample))
          .hasMessage(
              "talk.json: sample 1 (id 0): it has 152 ids and max length is 151; shorten it, raise"
                  + " max length, or set over length to truncate or skip");
      assertThat(
              encoder(tokenizer, ConversationTemplate.BUNNY, 151, OverLength.SKIP).encode(sample))
          .isEmpty();
      assertThat(
              encoder(tokenizer, ConversationTemplate.BUNNY, 152, OverLength.SKIP).encode(sample))
          .isPresent();
    }
  }

  @Test
  void turnsOfOneSideThatFollowEachOtherAreRefused() throws IOException {
    try (Tokenizer tokenizer = tokenizer("tok_phi3")) {
      ConversationEncoder encoder =
          encoder(tokenizer, ConversationTemplate.PHI3, 500, OverLength.REJECT);
      Sample sample = sample(LONG_TALK.replaceFirst("gpt", "human"));
      assertThatThrownBy(() -> encoder.encode(sample))
          .isInstanceOf(DataException.class)
          .hasMessage(
              "talk.json: sample 1 (id x): two turns of the user follow each other (turn 2 from the"
                  + " first question on); user and assistant must take turns");
    }
  }

  @Test
  void placesThatAreNotAsManyAsImagesNameTheSample() {
    assertThatThrownBy(() -> sample(TWO_IMAGES))
        .isInstanceOf(DataException.class)
        .hasMessage(
            "talk.json: sample 1 (id two): its text has 3 <image> and \"image\" names 2 files; make"
                + " them as many");
  }

  @Test
  void aCaptionNeedsOneImageAndOneAnswer() throws IOException {
    try (Tokenizer tokenizer = tokenizer("tok_phi3")) {
      ConversationEncoder encoder =
          encoder(tokenizer, ConversationTemplate.PLAIN, 500, OverLength.REJECT);
      Sample sample = sample(LONG_TALK);
      assertThatThrownBy(() -> encoder.encode(sample))
          .hasMessage(
              "talk.json: sample 1 (id x): it has 6 turns and 0 images; the conversation template"
                  + " plain takes one question with one image, and one answer");
    }
  }

  @Test
  void aTemplateOfAnotherModelIsRefused() {
    try (Tokenizer tokenizer = tokenizer("tok_minicpm")) {
      assertThatThrownBy(
              () -> encoder(tokenizer, ConversationTemplate.PHI3, 500, OverLength.REJECT))
          .isInstanceOf(DataException.class)
          .hasMessage(
              tokenizer.file()
                  + " has no token <|endoftext|>, which ends the answers of the conversation"
                  + " template phi3; take the template of this model");
      assertThatThrownBy(
              () -> encoder(tokenizer, ConversationTemplate.LLAMA3, 500, OverLength.REJECT))
          .hasMessageStartingWith("conversation template llama3: nothing says what is learnt");
    }
  }

  @Test
  void llamaEndsAndPadsWithTheSignOfItsTemplate(@TempDir Path folder) throws IOException {
    Path from = Golden.path("moiie/tokenizers/tok_llama3");
    Files.copy(from.resolve("tokenizer.json"), folder.resolve("tokenizer.json"));
    Files.writeString(
        folder.resolve("tokenizer_config.json"),
        Files.readString(from.resolve("tokenizer_config.json"))
            .replace("\"eos_token\": \"<|end_of_text|>\"", "\"eos_token\": \"<|eot_id|>\""));
    Sample sample = sample(json("train.json").get(1));
    try (Tokenizer base = tokenizer("tok_llama3");
        Tokenizer instruct = Tokenizer.open(folder, SegmentPrefix.AS_FILE)) {
      assertThat(List.of(base.eos(), instruct.eos())).containsExactly(401, 404);
      ConversationEncoder encoder =
          encoder(instruct, ConversationTemplate.LLAMA, 500, OverLength.REJECT);
      assertThat(List.of(encoder.end(), encoder.pad())).containsExactly(401, 401);
      EncodedSample row = encoder.encode(sample).orElseThrow();
      assertThat(row.doubt()).isEmpty();
      assertThat(row.labels())
          .isEqualTo(
              encoder(base, ConversationTemplate.LLAMA, 500, OverLength.REJECT)
                  .encode(sample)
                  .orElseThrow()
                  .labels());
    }
  }

  @Test
  void aPromptIsTheTrainedRowUpToTheLastAnswer() throws IOException {
    for (String name : List.of("tok_phi3", "tok_llama3")) {
      try (Tokenizer tokenizer = tokenizer(name)) {
        ConversationTemplate template =
            name.equals("tok_phi3") ? ConversationTemplate.PHI3 : ConversationTemplate.LLAMA;
        ConversationPrompt prompt =
            new ConversationPrompt(new ImagePlaces(tokenizer, PATCHES), template, 500);
        Sample sample = sample(json("train.json").get(1));
        EncodedText asked = prompt.prompt(sample);
        EncodedSample row =
            encoder(tokenizer, template, 500, OverLength.REJECT).encode(sample).orElseThrow();
        assertThat(prompt.text(sample)).endsWith("USER: How many?  12 345" + end(template));
        assertThat(asked.ids()).isEqualTo(Arrays.copyOf(row.ids(), asked.ids().length));
        assertThat(asked.spans()).isEqualTo(row.spans());
      }
    }
  }

  private static String end(ConversationTemplate template) {
    return template.question(List.of("Q")).split("USER: Q")[1];
  }

  @Test
  void anImageAmongWordsComesFirstAndSeveralStay() throws IOException {
    try (Tokenizer tokenizer = tokenizer("tok_phi3")) {
      ConversationPrompt prompt =
          new ConversationPrompt(
              new ImagePlaces(tokenizer, PATCHES), ConversationTemplate.MISTRAL_INSTRUCT, 500);
      assertThat(
              prompt.text(
                  sample(
                      """
                      {"image": "a.png", "conversations":
                        [{"from": "human", "value": " \\n see\\u00a0<image> this\\t"}]}""")))
          .isEqualTo("[INST] <image>\nsee\u00a0 this [/INST]");
      assertThat(
              prompt.text(
                  sample(TWO_IMAGES.replace("[\"a.png\", \"b.png\"]", "[\"a\", \"b\", \"c\"]"))))
          .isEqualTo(
              "[INST] <image>\none [/INST] yes </s>[INST] <image> and here <image>? [/INST]");
    }
  }

  @Test
  void anAnswerBeforeTheFirstQuestionIsLeftOutWhereThatIsAllowed() throws IOException {
    JsonNode led = json("train.json").get(2);
    assertThat(sample(led).turns()).hasSize(5);
    assertThat(sample(led).fromFirstQuestion()).hasSize(4);
    assertThatThrownBy(() -> SampleFormat.read(led, "talk.json", 3, KeptTurns.ALL))
        .hasMessage(
            "talk.json: sample 3 (id 2): its first turn is the assistant's; begin with the user's");
    assertThatThrownBy(
            () -> sample("{\"conversations\": [{\"from\": \"gpt\", \"value\": \"yes\"}]}"))
        .hasMessage(
            "talk.json: sample 1: it has no question behind the assistant's; begin with the"
                + " user's");
  }
}
