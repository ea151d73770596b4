package io.moextend.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.Golden;
import io.moextend.text.EncodedText;
import io.moextend.text.ImagePlaces;
import io.moextend.text.ImageSpan;
import io.moextend.text.SegmentPrefix;
import io.moextend.text.TokenBuffer;
import io.moextend.text.Tokenizer;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ConversationEncoderTest {
  private static final int PATCHES = 16; // of the golden samples' tower

  private static JsonNode json(String name) throws IOException {
    return new ObjectMapper().readTree(Golden.path("moiie/preprocessing/" + name).toFile());
  }

  private static int[] ints(JsonNode array) {
    return IntStream.range(0, array.size()).map(i -> array.get(i).asInt()).toArray();
  }

  @MustBeClosed
  private static Tokenizer golden(String name) {
    return Tokenizer.open(Golden.path("moiie/tokenizers/" + name), SegmentPrefix.AS_FILE);
  }

  private static Sample sample(JsonNode json) {
    return SampleFormat.read(json, "talk.json", 1, KeptTurns.ALL_BEHIND_AN_ANSWER);
  }

  private static Sample sample(String json) throws IOException {
    return sample(new ObjectMapper().readTree(json));
  }

  private static ConversationEncoder encoder(
      Tokenizer tokenizer, ConversationTemplate template, int maxLength, OverLength overLength) {
    return new ConversationEncoder(
        new ImagePlaces(tokenizer, PATCHES), template, maxLength, overLength);
  }

  /** Puts the place of an image back where its patches stand. */
  private static int[] narrow(int[] values, List<ImageSpan> spans, int place) {
    TokenBuffer out = new TokenBuffer();
    int at = 0;
    for (ImageSpan span : spans) {
      out.addAll(Arrays.copyOfRange(values, at, span.firstSlot()));
      out.add(place);
      at = span.end();
    }
    out.addAll(Arrays.copyOfRange(values, at, values.length));
    return out.toArray();
  }

  @TestFactory
  List<DynamicTest> goldenSamplesBecomeThePublishedRows() throws IOException {
    JsonNode talk = json("talk.json");
    assertThat(talk.get("vision_token_num").asInt()).isEqualTo(PATCHES);
    List<DynamicTest> tests = new ArrayList<>();
    for (var entry : talk.get("templates").properties()) {
      JsonNode template = entry.getValue();
      String key = entry.getKey().split(" ")[0];
      JsonNode samples = json(key.equals("plain") ? "plain.json" : "train.json");
      assertThat(template.get("samples")).hasSize(samples.size());
      for (int i = 0; i < samples.size(); i++) {
        JsonNode from = samples.get(i);
        JsonNode wanted = template.get("samples").get(i);
        tests.add(
            DynamicTest.dynamicTest(
                entry.getKey() + " " + wanted.get("id").asText(),
                () -> {
                  try (Tokenizer tokenizer = golden(template.get("tokenizer").asText())) {
                    ConversationEncoder encoder =
                        encoder(
                            tokenizer,
                            ConversationTemplate.named(key),
                            template.get("model_max_length").asInt(),
                            OverLength.REJECT);
                    assertThat(encoder.pad()).isEqualTo(template.get("pad_token_id").asInt());
                    assertThat(encoder.end()).isEqualTo(template.get("eos_token_id").asInt());
                    compare(encoder.encode(sample(from)).orElseThrow(), wanted);
                  }
                }));
      }
    }
    assertThat(tests).hasSize(29);
    return tests;
  }

  private static void compare(EncodedSample row, JsonNode wanted) {
    assertThat(narrow(row.ids(), row.spans(), ImagePlaces.PLACE))
        .isEqualTo(ints(wanted.get("input_ids")));
    assertThat(narrow(row.labels(), row.spans(), EncodedSample.IGNORED))
        .isEqualTo(ints(wanted.get("labels")));
    assertThat(row.mask()).containsOnly(1);
    int images = wanted.get("has_image").asBoolean() ? 1 : 0;
    assertThat(row.spans()).hasSize(images).allMatch(span -> span.slots() == PATCHES);
    for (ImageSpan span : row.spans()) {
      assertThat(Arrays.copyOfRange(row.labels(), span.firstSlot(), span.end()))
          .containsOnly(EncodedSample.IGNORED);
    }
    JsonNode types = wanted.get("token_type_ids");
    if (types.isNull()) { // the published "plain" lacks them
      byte[] wide = new byte[row.length()];
      Arrays.fill(wide, row.spans().getFirst().firstSlot(), row.spans().getFirst().end(), (byte) 1);
      assertThat(one(row).tokenTypes().types()).isEqualTo(wide);
    } else {
      assertThat(one(row).tokenTypes().types()).containsExactly(ints(types));
    }
    String warning = wanted.get("stdout").asText();
    assertThat(row.doubt().isEmpty()).isEqualTo(warning.isEmpty());
    if (!warning.isEmpty()) {
      String[] numbers = warning.replaceAll("[^0-9]+", " ").strip().split(" ");
      assertThat(row.doubt())
          .isEqualTo(
              "its rounds make %s ids and its row has %s, so nothing of it is learnt; does an answer hold ASSISTANT: or %s?"
                  .formatted(numbers[0], numbers[1], sign(wanted.get("prompt").asText())));
      assertThat(row.lossPositions()).isZero();
    }
  }

  private static String sign(String prompt) {
    return prompt.substring(prompt.lastIndexOf('<'));
  }

  private static Batch one(EncodedSample row) {
    List<Picture> pictures = row.spans().stream().map(_ -> picture()).toList();
    return new Collator(0, 0, 1).collate(List.of(row), pictures);
  }

  @ParameterizedTest
  @ValueSource(ints = {120, 256})
  void theGoldenBatchesComeOutAsPublished(int maxLength) throws IOException {
    GoldenTensors wanted = new GoldenTensors("moiie/preprocessing/talk.safetensors");
    String prefix = "batch.tok_phi3.max" + maxLength + ".";
    try (Tokenizer tokenizer = golden("tok_phi3")) {
      ConversationEncoder encoder =
          encoder(tokenizer, ConversationTemplate.PHI3, maxLength, OverLength.TRUNCATE);
      JsonNode samples = json("train.json");
      List<EncodedSample> rows = new ArrayList<>();
      List<Picture> pictures = new ArrayList<>();
      for (int i = 0; i < 4; i++) {
        EncodedSample row = encoder.encode(sample(samples.get(i))).orElseThrow();
        rows.add(row);
        row.spans().forEach(_ -> pictures.add(picture()));
      }
      Batch batch = new Collator(encoder.pad(), 0, 1).collate(rows, pictures);
      byte[] seen = wanted.bytes(prefix + "attention_mask");
      int narrow = seen.length / 4;
      Widened expected =
          new Widened(
              wanted.longs(prefix + "input_ids"), wanted.longs(prefix + "labels"), seen, narrow);
      int[] types = wanted.longs(prefix + "token_type_ids");
      assertThat(batch.length()).isEqualTo(types.length / 4);
      for (int row = 0; row < 4; row++) {
        expected.compare(batch, row, maxLength, encoder.pad());
      }
      // the published types are padded with the filler's id, which stands for a word as 0 does
      assertThat(batch.tokenTypes().types())
          .containsExactly(Arrays.stream(types).map(type -> type == 1 ? 1 : 0).toArray());
    }
  }

  private static Picture picture() {
    return new Picture(Golden.path("README.md"), "", new float[3]);
  }

  /** The published batch, [4, narrow], its images not widened yet. */
  private record Widened(int[] ids, int[] labels, byte[] mask, int narrow) {
    /** Widens a row as the published merging does and compares ours with it. */
    void compare(Batch batch, int row, int maxLength, int pad) {
      int[] wide = new int[batch.length()];
      int[] learnt = new int[batch.length()];
      byte[] seen = new byte[batch.length()];
      Arrays.fill(wide, pad);
      Arrays.fill(learnt, EncodedSample.IGNORED);
      int to = 0;
      for (int t = row * narrow; t < (row + 1) * narrow && mask[t] == 1; t++) {
        for (int i = 0; i < (ids[t] == ImagePlaces.PLACE ? PATCHES : 1) && to < maxLength; i++) {
          wide[to] = ids[t] == ImagePlaces.PLACE ? 0 : ids[t];
          learnt[to] = labels[t];
          seen[to++] = 1;
        }
      }
      int from = row * batch.length();
      int end = from + batch.length();
      assertThat(Arrays.copyOfRange(batch.ids(), from, end)).isEqualTo(wide);
      assertThat(Arrays.copyOfRange(batch.labels(), from, end)).isEqualTo(learnt);
      assertThat(Arrays.copyOfRange(batch.mask(), from, end)).isEqualTo(seen);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"moiie_phi3", "moiie_llama3"})
  void theGoldenTrainingBatchMergesAsPublished(String name) throws IOException {
    GoldenTensors wanted = new GoldenTensors("moiie/preprocessing/talk.safetensors");
    int[] ids = wanted.longs(name + ".input_ids");
    int[] labels = wanted.longs(name + ".labels");
    byte[] mask = wanted.bytes(name + ".attention_mask");
    Sample sample = sample(json("train.json").get(0));
    List<EncodedSample> rows = new ArrayList<>();
    List<Picture> pictures = new ArrayList<>();
    try (Tokenizer tokenizer = golden("tok_phi3")) {
      ImagePlaces places = new ImagePlaces(tokenizer, PATCHES);
      for (int row = 0; row < 3; row++) {
        int from = row * 25;
        int length = (int) IntStream.range(from, from + 25).filter(t -> mask[t] == 1).count();
        int[] own = Arrays.copyOfRange(ids, from, from + length);
        int[] learnt = Arrays.copyOfRange(labels, from, from + length);
        List<String> images =
            Arrays.stream(own).anyMatch(id -> id == ImagePlaces.PLACE)
                ? List.of("x.png")
                : List.of();
        EncodedText wide = places.widen(own, images);
        byte[] seen = new byte[wide.ids().length];
        Arrays.fill(seen, (byte) 1);
        rows.add(
            new EncodedSample(
                sample,
                wide.ids(),
                places.widen(own, learnt, EncodedSample.IGNORED),
                seen,
                wide.spans()));
        images.forEach(_ -> pictures.add(picture()));
      }
    }
    Batch batch = new Collator(95, 0, 1).collate(rows, pictures);
    assertThat(batch.length()).isEqualTo(40);
    assertThat(batch.labels()).isEqualTo(wanted.longs(name + ".merged.labels"));
    assertThat(batch.mask()).isEqualTo(wanted.bytes(name + ".merged.attention_mask"));
    assertThat(batch.tokenTypes().visionMask())
        .isEqualTo(wanted.bytes(name + ".vision_token_mask"));
    assertThat(batch.tokenTypes().types())
        .containsExactly(
            Arrays.stream(wanted.longs(name + ".merged.token_type_ids"))
                .map(type -> type == 1 ? 1 : 0)
                .toArray());
  }

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
    try (Tokenizer tokenizer = golden("tok_phi3")) {
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
    try (Tokenizer tokenizer = golden("tok_llama3")) {
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
    try (Tokenizer tokenizer = golden("tok_phi3")) {
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
    try (Tokenizer tokenizer = golden("tok_phi3")) {
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
    try (Tokenizer tokenizer = golden("tok_phi3")) {
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
    try (Tokenizer tokenizer = golden("tok_phi3")) {
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
    try (Tokenizer tokenizer = golden("tok_minicpm")) {
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
  void aPromptIsTheTrainedRowUpToTheLastAnswer() throws IOException {
    for (String name : List.of("tok_phi3", "tok_llama3")) {
      try (Tokenizer tokenizer = golden(name)) {
        ConversationTemplate template =
            name.equals("tok_phi3") ? ConversationTemplate.PHI3 : ConversationTemplate.LLAMA;
        ConversationPrompt prompt =
            new ConversationPrompt(new ImagePlaces(tokenizer, PATCHES), template);
        Sample sample = sample(json("train.json").get(1));
        EncodedText asked = prompt.of(sample);
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
    try (Tokenizer tokenizer = golden("tok_phi3")) {
      ConversationPrompt prompt =
          new ConversationPrompt(
              new ImagePlaces(tokenizer, PATCHES), ConversationTemplate.MISTRAL_INSTRUCT);
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
